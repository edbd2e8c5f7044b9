/* Normalisation and activation of channels-last values in few passes over memory, for training (see fused.py).
 *
 * y = a z^2 + b z + c + max(p z + q, 0), z = (x - mean) / deviation held within `limit`, all per channel. Values are float or bfloat16
 * (`half`); sums are kept in float for some thousand values, and in double from then on. Channels come in sixteens.
 */
#include <stdint.h>
#include <string.h>

#define LANES 16
typedef float vec __attribute__((vector_size(64)));
typedef uint32_t word __attribute__((vector_size(64)));
typedef uint16_t low __attribute__((vector_size(32)));
#define INLINE static inline __attribute__((always_inline))

INLINE vec load(const void *p, long i, int half) {
    vec v;
    if (half) {
        low u;
        memcpy(&u, (const uint16_t *)p + i, sizeof u);
        word w = __builtin_convertvector(u, word) << 16;
        memcpy(&v, &w, sizeof v);
    } else {
        memcpy(&v, (const float *)p + i, sizeof v);
    }
    return v;
}

INLINE void store(void *p, long i, vec v, int half) {
    if (half) {   /* to the nearest, ties to even */
        word w;
        memcpy(&w, &v, sizeof w);
        w = (w + 0x7fff + ((w >> 16) & 1)) >> 16;
        low u = __builtin_convertvector(w, low);
        memcpy((uint16_t *)p + i, &u, sizeof u);
    } else {
        memcpy((float *)p + i, &v, sizeof v);
    }
}

INLINE vec choose(word mask, vec yes, vec no) {
    word a, b;
    memcpy(&a, &yes, sizeof a);
    memcpy(&b, &no, sizeof b);
    a = (a & mask) | (b & ~mask);
    memcpy(&yes, &a, sizeof a);
    return yes;
}

INLINE vec within(vec v, vec limit) {
    v = choose((word)(v > limit), limit, v);
    return choose((word)(v < -limit), -limit, v);
}

INLINE void add(double *sums, vec v) {
    for (int k = 0; k < LANES; ++k) sums[k] += v[k];
}

INLINE vec all(float v) {
    return v - (vec){};
}

#define ROWS 256   /* so many positions of all channels at a time: they stay in the cache */

/* x += other, if given; sums of x - centre and of its square. */
INLINE void stats(void *x, const void *other, long rows, long channels, const float *centre, double *sum, double *square, int half) {
    memset(sum, 0, channels * sizeof *sum);
    memset(square, 0, channels * sizeof *square);
    for (long from = 0; from < rows; from += ROWS) {
        long to = from + ROWS < rows ? from + ROWS : rows;
        for (long c = 0; c < channels; c += LANES) {
            vec s = {}, q = {}, middle = load(centre, c, 0);
            for (long r = from; r < to; ++r) {
                vec v = load(x, r * channels + c, half);
                if (other) {
                    v += load(other, r * channels + c, half);
                    store(x, r * channels + c, v, half);
                }
                v -= middle;
                s += v;
                q += v * v;
            }
            add(sum + c, s);
            add(square + c, q);
        }
    }
}

struct activation {
    const float *mean, *invstd, *a, *b, *c, *p, *q;   /* p: null without the last term */
    float limit;                                      /* 0: none */
    float free;                                       /* |z| up to here costs nothing; 0: no cost at all */
};

/* `cost`, per image: the mean square of what |z| is beyond `free`. */
INLINE void forward(const void *x, void *y, long images, long rows, long channels, const struct activation *f, double *cost, int half) {
    for (long n = 0; n < images; ++n) {
        double total = 0.0;
        for (long from = n * rows; from < (n + 1) * rows; from += ROWS) {
            long to = from + ROWS < (n + 1) * rows ? from + ROWS : (n + 1) * rows;
            for (long c = 0; c < channels; c += LANES) {
                vec scale = load(f->invstd, c, 0), shift = -load(f->mean, c, 0) * scale;
                vec a = load(f->a, c, 0), b = load(f->b, c, 0), k = load(f->c, c, 0), p = {}, q = {}, sum = {};
                if (f->p) p = load(f->p, c, 0), q = load(f->q, c, 0);
                for (long r = from; r < to; ++r) {
                    vec z = load(x, r * channels + c, half) * scale + shift;
                    if (f->free) {
                        vec beyond = z - within(z, all(f->free));
                        sum += beyond * beyond;
                    }
                    if (f->limit) z = within(z, all(f->limit));
                    vec v = (a * z + b) * z + k;
                    if (f->p) {
                        vec line = p * z + q;
                        v += choose((word)(line > 0), line, (vec){});
                    }
                    store(y, r * channels + c, v, half);
                }
                for (int l = 0; l < LANES; ++l) total += sum[l];
            }
        }
        if (cost) cost[n] = total / (rows * channels);
    }
}

/* The derivative by z, from g of the result and h of the image's cost. */
INLINE vec slope(vec z, vec g, vec a, vec b, vec p, vec q, const struct activation *f, vec h, vec *on) {
    vec d = 2 * a * z + b;
    if (f->p) {
        *on = choose((word)(p * z + q > 0), all(1), (vec){});
        d += p * *on;
    }
    d *= g;
    if (f->limit) d = choose((word)(z == within(z, all(f->limit))), d, (vec){});
    if (f->free) d += h * (z - within(z, all(f->free)));
    return d;
}

/* Sums of the derivative by z, of it times z; of g z^2 - g, g z (for a, b); of g z and g where the last term counts (for p, q). */
INLINE void sums(const void *x, const void *g, const float *h, long images, long rows, long channels, const struct activation *f,
                 double *out, int half) {
    memset(out, 0, 6 * channels * sizeof *out);
    for (long n = 0; n < images; ++n) {
        vec weight = all(h ? 2 * h[n] / (rows * channels) : 0.0f);
        for (long from = n * rows; from < (n + 1) * rows; from += ROWS) {
            long to = from + ROWS < (n + 1) * rows ? from + ROWS : (n + 1) * rows;
            for (long c = 0; c < channels; c += LANES) {
                vec scale = load(f->invstd, c, 0), shift = -load(f->mean, c, 0) * scale;
                vec a = load(f->a, c, 0), b = load(f->b, c, 0), p = {}, q = {}, on = {};
                vec d0 = {}, d1 = {}, ga = {}, gb = {}, gp = {}, gq = {};
                if (f->p) p = load(f->p, c, 0), q = load(f->q, c, 0);
                for (long r = from; r < to; ++r) {
                    vec z = load(x, r * channels + c, half) * scale + shift, e = load(g, r * channels + c, half);
                    vec d = slope(z, e, a, b, p, q, f, weight, &on);
                    d0 += d;
                    d1 += d * z;
                    if (f->limit) z = within(z, all(f->limit));
                    vec ez = e * z;
                    ga += ez * z - e;
                    gb += ez;
                    if (f->p) {
                        gp += ez * on;
                        gq += e * on;
                    }
                }
                vec parts[] = {d0, d1, ga, gb, gp, gq};
                for (int k = 0; k < 6; ++k) add(out + k * channels + c, parts[k]);
            }
        }
    }
}

/* dx = (dz - m0 - m1 z) / deviation; m0, m1 null with fixed statistics. */
INLINE void backward(const void *x, const void *g, const float *h, void *dx, long images, long rows, long channels,
                     const struct activation *f, const float *m0, const float *m1, int half) {
    for (long n = 0; n < images; ++n) {
        vec weight = all(h ? 2 * h[n] / (rows * channels) : 0.0f);
        for (long from = n * rows; from < (n + 1) * rows; from += ROWS) {
            long to = from + ROWS < (n + 1) * rows ? from + ROWS : (n + 1) * rows;
            for (long c = 0; c < channels; c += LANES) {
                vec scale = load(f->invstd, c, 0), shift = -load(f->mean, c, 0) * scale;
                vec a = load(f->a, c, 0), b = load(f->b, c, 0), p = {}, q = {}, on = {}, first = {}, second = {};
                if (f->p) p = load(f->p, c, 0), q = load(f->q, c, 0);
                if (m0) first = load(m0, c, 0), second = load(m1, c, 0);
                for (long r = from; r < to; ++r) {
                    vec z = load(x, r * channels + c, half) * scale + shift;
                    vec d = slope(z, load(g, r * channels + c, half), a, b, p, q, f, weight, &on);
                    store(dx, r * channels + c, (d - first - second * z) * scale, half);
                }
            }
        }
    }
}

void fused_stats(void *x, const void *other, long rows, long channels, const float *centre, double *sum, double *square, int half) {
    if (half) stats(x, other, rows, channels, centre, sum, square, 1);
    else stats(x, other, rows, channels, centre, sum, square, 0);
}

/* The common terms are compiled by themselves: loops without tests. */
#define CASES(call)                                              \
    struct activation g_ = *f_;                                  \
    if (!g_.p) {                                                 \
        g_.q = g_.p = 0;                                         \
        if (!g_.limit) { g_.limit = 0; call; } else { call; }    \
    } else if (!g_.limit) { g_.limit = 0; call; } else { call; }

void fused_forward(const void *x, void *y, long images, long rows, long channels, const struct activation *f_, double *cost, int half) {
    if (half) { CASES(forward(x, y, images, rows, channels, &g_, cost, 1)) }
    else { CASES(forward(x, y, images, rows, channels, &g_, cost, 0)) }
}

void fused_sums(const void *x, const void *g, const float *h, long images, long rows, long channels, const struct activation *f_,
                double *out, int half) {
    if (half) { CASES(sums(x, g, h, images, rows, channels, &g_, out, 1)) }
    else { CASES(sums(x, g, h, images, rows, channels, &g_, out, 0)) }
}

void fused_backward(const void *x, const void *g, const float *h, void *dx, long images, long rows, long channels,
                    const struct activation *f_, const float *m0, const float *m1, int half) {
    if (half) { CASES(backward(x, g, h, dx, images, rows, channels, &g_, m0, m1, 1)) }
    else { CASES(backward(x, g, h, dx, images, rows, channels, &g_, m0, m1, 0)) }
}
