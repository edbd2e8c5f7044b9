#!/usr/bin/env python3
"""Train a network with quadratic activations (or its ReLU control) on CIFAR-10.

    /usr/bin/python3 train.py --data DIR --out RUN --epochs 40
    /usr/bin/python3 train.py --data DIR --out RUN --deadline-minutes 100   # anneals to the clock

The learning rate follows progress p in [0, 1]: by images seen with --epochs, by the wall clock with
--deadline-minutes, so that a slow or shared machine still ends with a finished model. Everything is
in RUN: last.pt (resumed from when present), final.pt, log.tsv (a line per epoch), pid.
"""
import argparse
import concurrent.futures
import copy
import ctypes
import ctypes.util
import json
import math
import os
import pathlib
import sys
import time

import torch
from torch.nn import functional as F

import data as cifar
import fused
import model as nets
from optim import Muon
from teacher import HINTS_FROM, Teacher


def keep_freed_memory():
    """Tell glibc to reuse big blocks: fresh pages cost a quarter of the time on a CPU."""
    try:
        libc = ctypes.CDLL(ctypes.util.find_library("c"))
        libc.mallopt(-4, 0)             # M_MMAP_MAX
        libc.mallopt(-1, 2**31 - 1)     # M_TRIM_THRESHOLD
        libc.mallopt(-2, 256 << 20)     # M_TOP_PAD
    except (OSError, AttributeError, TypeError):
        pass


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", required=True, help="folder with the CIFAR-10 binary files")
    p.add_argument("--out", required=True, help="folder for checkpoints and the log")
    p.add_argument("--net", "--model", choices=("vgg9", "tiny", "resnet20", "resnet32", "attention"), default="vgg9")
    p.add_argument("--heads", type=int, choices=(0, 1), default=1, help="of --net attention; 0: its control, which passes the tokens on")
    p.add_argument("--activation", choices=("quadratic", "relu"), default="quadratic")
    p.add_argument("--width", type=float, default=1.0, help="channel factor (a wide ReLU teacher)")
    p.add_argument("--epochs", type=float, default=40)
    p.add_argument("--deadline-minutes", type=float, default=0, help="anneal to this wall time instead")
    p.add_argument("--batch", type=int, default=256)
    p.add_argument("--micro-batch", type=int, default=128, help="normalisation sees this many")
    p.add_argument("--lr", type=float, default=0.05, help="relative step of a weight matrix")
    p.add_argument("--lr-small", type=float, default=0.004, help="Adam: a, b, last layer")
    p.add_argument("--momentum", type=float, default=0.85)
    p.add_argument("--early-every", type=int, default=1,
                   help="the first two convolutions (half of the work) learn in every n-th step only")
    p.add_argument("--early-lr", type=float, default=1.0, help="their learning rate, as a factor")
    p.add_argument("--prune", type=float, default=0,
                   help="skip this share of the images whose last loss was below the mean, and weigh "
                        "the others of them up (InfoBatch, 2023); not in the last eighth of the run")
    p.add_argument("--warmup", type=float, default=0.10, help="share of the run")
    p.add_argument("--smoothing", type=float, default=0.1)
    p.add_argument("--shift", type=int, default=3, help="largest shift of the random crop")
    p.add_argument("--cutout", type=int, default=0)
    p.add_argument("--jitter", type=float, default=0, help="contrast by up to 2 to this power either way, brightness with it")
    p.add_argument("--tint", type=float, default=0, help="this share of the images in harsh colours: saturated, shifted, of any contrast")
    p.add_argument("--range-early", type=float, default=0, help="penalise |x| above this in the first two layers (0: never)")
    p.add_argument("--range", type=float, default=4.0, help="penalise |x| above this")
    p.add_argument("--range-weight", type=float, default=5.0)
    p.add_argument("--hold", type=float, default=0,
                   help="clamp |x| to this in training (quadratics), and take the logarithm of each image's range penalty: one image that "
                        "blows up does not drown the others (0: only with --freeze)")
    p.add_argument("--clip", type=float, default=0,
                   help="a weight matrix's gradient counts at most so many times its average size (0: no limit)")
    p.add_argument("--odd", type=int, default=0,
                   help="so many odd pictures (data.odd) with every micro-batch that trains all layers, on which |x| is held "
                        "within the running statistics")
    p.add_argument("--odd-after", type=float, default=0, help="only after this share of the run")
    p.add_argument("--odd-from", type=float, default=6.0, help="penalise |x| of odd pictures above this")
    p.add_argument("--odd-weight", type=float, default=0.1)
    p.add_argument("--synthetic", help="records as `brainlock synthetic` writes them: pictures without labels, some with every micro-batch "
                   "once statistics are fixed (--freeze); the teacher's answers and the range count")
    p.add_argument("--synthetic-count", type=int, default=16, help="so many with a micro-batch")
    p.add_argument("--teacher", help="checkpoint whose answers are learned too")
    p.add_argument("--teacher-weight", type=float, default=0.7)
    p.add_argument("--temperature", type=float, default=2.0)
    p.add_argument("--hint", type=float, default=0,
                   help="weight of the distance between the normalised pre-activations of net and teacher in the layers from the "
                        "fifth on (they need the same widths)")
    p.add_argument("--init", help="checkpoint to start from (fine-tuning); a ReLU network is converted (use --gradual)")
    p.add_argument("--deepen", help="checkpoint of a ResNet with fewer blocks and the same activations to start from: the new blocks pass "
                   "their input on at first (quadratics: use --gradual, for the new ones)")
    p.add_argument("--freeze", type=float, default=0,
                   help="fixed normalisation statistics, those of the moving average, in this last share of the run: what is trained "
                        "then is what is used")
    p.add_argument("--gradual", type=float, default=0,
                   help="replace ReLU by the quadratic linearly over this share of the run")
    p.add_argument("--finetune-noise", type=float, default=0,
                   help="noise on every pre-activation, as a share of its deviation (with --freeze: from then on)")
    p.add_argument("--finetune-weights", type=float, default=0,
                   help="noise on weights, as a share of the largest one of a layer, likewise")
    p.add_argument("--save-minutes", type=float, default=5)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--threads", type=int, default=2, help="inside an operator")
    p.add_argument("--parallel", type=int, default=1, help="copies of the net, one thread each")
    p.add_argument("--bf16", action="store_true", help="convolutions and what is between them in bfloat16 (three times as fast on a CPU with AMX)")
    p.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    p.add_argument("--limit", type=int, default=0, help="use only this many training images (tests)")
    p.add_argument("--quiet", action="store_true")
    return p.parse_args()


@torch.no_grad()
def accuracy(model, images, labels, device, batch=250):
    model.eval()
    right, loss = 0, 0.0
    for i in range(0, len(labels), batch):
        x = prepare(cifar.to_float(images[i:i + batch]), model).to(device)
        y = labels[i:i + batch].to(device)
        out = model(x)
        right += (out.argmax(1) == y).sum().item()
        loss += F.cross_entropy(out, y, reduction="sum").item()
    return right / len(labels), loss / len(labels)


def prepare(x, model):
    """What the net takes: colour 32x32, or for the tiny net grey 16x16 (mean of 2x2)."""
    if model.config["net"] == "tiny":
        grey = (0.299 * x[:, 0:1] + 0.587 * x[:, 1:2] + 0.114 * x[:, 2:3])
        return F.avg_pool2d(grey, 2)
    return x


class Average:
    """Moving average of weights and of normalisation statistics."""

    def __init__(self, model):
        self.state = {k: v.detach().clone() for k, v in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model, decay):
        for k, v in model.state_dict().items():
            if v.dtype.is_floating_point:
                self.state[k].lerp_(v, 1.0 - decay)
            else:
                self.state[k].copy_(v)


def spread(model, workers):
    """Copy weights and statistics to the workers and clear their gradients."""
    for worker in workers:
        worker.train()
        worker.zero_grad(set_to_none=True)
        if worker is not model:
            with torch.no_grad():
                for mine, theirs in zip([*model.parameters(), *model.buffers()], [*worker.parameters(), *worker.buffers()]):
                    theirs.copy_(mine)


# Updates of one size in all directions let values drift away from fixed statistics; in every so many steps, these follow.
FOLLOW_EVERY = 4


def add_noise(model, args):
    """The errors of an encrypted evaluation."""
    for act in nets.activations(model):
        act.noise = args.finetune_noise
    model.weight_noise = args.finetune_weights


def freeze(model, workers, average, args):
    """From now on, normalise with the moving average's statistics, and with noise if asked for."""
    for copied in {id(m): m for m in [model, *workers]}.values():
        add_noise(copied, args)
        for i, act in enumerate(copied.act):
            act.frozen = 3.0 * (act.penalty_from or 4.0)
            for name in ("running_mean", "running_var"):
                getattr(act.norm, name).copy_(average.state[f"act.{i}.norm.{name}"])


def gather(model, workers):
    """Add up the workers' gradients; the first one's normalisation statistics count."""
    if workers[0] is model:
        return
    for mine, *theirs in zip(model.parameters(), *(w.parameters() for w in workers)):
        grads = [t.grad for t in theirs if t.grad is not None]
        mine.grad = sum(grads[1:], grads[0]) if grads else None
    for mine, theirs in zip(model.buffers(), workers[0].buffers()):
        mine.copy_(theirs)


def main():
    args = arguments()
    keep_freed_memory()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    out = pathlib.Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    (out / "pid").write_text(f"{os.getpid()}\n")
    (out / "args.json").write_text(json.dumps(vars(args), indent=1) + "\n")
    device = torch.device(args.device)

    sets = cifar.load(args.data)
    images, labels = sets["train"]
    if args.limit:
        images, labels = images[:args.limit], labels[:args.limit]
    generator = torch.Generator().manual_seed(args.seed)
    augment = cifar.Augmenter(images, args.shift, args.cutout, generator, args.jitter, args.tint)

    config = {"net": args.net, "activation": args.activation}
    if args.net != "tiny":
        config["width"] = args.width
    if args.net == "attention":
        config["heads"] = args.heads
    model = nets.build(config).to(device).to(memory_format=torch.channels_last)
    if args.init:
        loaded = torch.load(args.init, map_location=device)
        if loaded["config"]["activation"] == "relu" and args.activation == "quadratic":
            nets.replace_relu(model, loaded["model"])
        else:
            model.load_state_dict(loaded["model"])
    if args.deepen:
        loaded = torch.load(args.deepen, map_location=device)
        shallow = nets.build(loaded["config"]).to(device)
        if {type(model), type(shallow)} != {nets.ResNet} or loaded["config"]["activation"] != args.activation or args.init:
            raise SystemExit("--deepen needs two ResNets of the same activations, and no --init")
        shallow.load_state_dict(loaded["model"])
        apart = nets.deepen(model, shallow, prepare(cifar.to_float(images[:512]), model).to(device))
        print(f"deepened: logits are {apart:.1e} from the shallow net's (median of 512 images)", flush=True)
        if not apart < 1e-3:
            raise SystemExit("the deepened net does not answer as the shallow one")
    teacher = Teacher(args.teacher, device, args.bf16, args.hint > 0) if args.teacher else None
    if args.hint and (teacher is None or {"resnet20", "resnet32", "attention"} & {args.net, teacher.config["net"]}):
        raise SystemExit("--hint needs a --teacher, and is not for ResNets or attention")
    if args.hint and args.bf16:
        raise SystemExit("--hint compares in single precision: without --bf16")
    if args.hold and (device.type != "cpu" or fused.library() is None):
        raise SystemExit("--hold is done by fused.c alone: on the CPU, and with a C compiler named cc")
    if args.early_every > 1 and args.net in ("resnet20", "resnet32", "attention"):
        raise SystemExit(f"--early-every is not for {args.net}, whose first layers are not half of the work")
    if args.gradual and args.net == "attention":
        raise SystemExit("--gradual is not for attention: it starts as it is")
    if args.freeze and (args.activation == "relu" or args.gradual > 1.0 - args.freeze):
        raise SystemExit("--freeze is for quadratics alone, after --gradual has ended")
    unlabelled = None
    if args.synthetic:
        if teacher is None or not args.freeze:
            raise SystemExit("--synthetic needs a --teacher, to say what the pictures are, and --freeze")
        unlabelled = cifar.Augmenter(cifar.records(args.synthetic)[0], args.shift, 0, generator, args.jitter)
    acts = nets.activations(model)
    hinted = [i for i in range(HINTS_FROM, len(acts)) if args.hint and teacher is not None]
    if hinted and teacher.config.get("width") != model.config.get("width"):
        raise SystemExit("--hint needs a teacher of the same width as the net")
    for i in hinted:
        acts[i].keep = True
    for i, act in enumerate(acts):
        # The first two layers hold most of the values and have the mildest tails.
        start = args.range if i >= 2 or args.net == "tiny" else args.range_early
        act.penalty_from = start if args.range_weight else 0.0
        act.hold = args.hold if args.activation == "quadratic" else 0.0
    if not args.freeze:
        add_noise(model, args)

    matrices = [layer.weight for layer in model.linear]
    if isinstance(model, nets.ResNet):
        matrices += [layer.weight for layer in model.shortcut]
    small = [p for p in model.parameters() if all(p is not m for m in matrices)]
    muon = Muon([{"params": matrices[:2], "factor": args.early_lr},
                 {"params": matrices[2:], "factor": 1.0}], args.lr, args.momentum, args.clip)
    adam = torch.optim.Adam(small, args.lr_small, betas=(0.9, 0.98))
    average = Average(model)

    step, epoch, offset = 0, 0, 0.0
    score = torch.full((len(labels),), math.inf)   # each image's last loss
    last = out / "last.pt"
    if last.exists():
        s = torch.load(last, map_location=device)
        model.load_state_dict(s["raw"])
        muon.load_state_dict(s["muon"])
        muon.param_groups[0]["factor"] = args.early_lr
        adam.load_state_dict(s["adam"])
        average.state = s["model"]
        step, epoch, offset = s["step"], s["epoch"], s["progress"]
        score = s.get("score", score)
        generator.set_state(s["generator"].cpu())
        torch.set_rng_state(s["rng"].cpu())
        print(f"resumed at epoch {epoch}, progress {offset:.3f}", flush=True)

    def save(path, progress, extra=None):
        state = {"config": model.config, "model": average.state, "raw": model.state_dict(),
                 "muon": muon.state_dict(), "adam": adam.state_dict(), "step": step, "epoch": epoch,
                 "progress": progress, "score": score, "generator": generator.get_state(),
                 "rng": torch.get_rng_state(), "args": vars(args)}
        state.update(extra or {})
        torch.save(state, str(path) + ".new")
        os.replace(str(path) + ".new", path)

    def odd_pictures(k):
        """For step k of an epoch; None where the first layers stand still."""
        if not args.odd or k % args.early_every or p < args.odd_after:
            return None
        some = torch.randint(0, len(labels), (args.odd,), generator=generator)
        return prepare(cifar.odd(augment.batch(some, 0), generator), model)

    def pictures(part):
        """A micro-batch: the images of `part`, and synthetic ones after them."""
        x = augment.batch(part, epoch)
        if unlabelled is not None and model.act[0].frozen:
            some = torch.randint(0, unlabelled.count, (args.synthetic_count,), generator=generator)
            x = torch.cat([x, unlabelled.batch(some, epoch)])
        return prepare(x, model)

    def learn(worker, job, weight, share):
        """Loss and gradient of one micro-batch on one copy of the net."""
        part, x, odd = job
        x, y = x.to(device), labels[part].to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=args.bf16):
            answers = worker(x).float()
        logits = answers[:len(part)]
        losses = F.cross_entropy(logits, y, label_smoothing=args.smoothing, reduction="none")
        score[part] = losses.detach().float().cpu()
        loss = (losses * weight[part].to(device)).mean()
        if teacher is not None:
            answer, features = teacher(x)
            target = F.softmax(answer / args.temperature, 1)
            kd = -(target * F.log_softmax(answers / args.temperature, 1)).sum(1).mean()
            loss = (1 - args.teacher_weight) * loss + args.teacher_weight * args.temperature * kd
            mine = nets.activations(worker)
            for i in hinted:
                loss = loss + args.hint / len(hinted) * F.mse_loss(mine[i].normalised[:len(part)],
                                                                           features[i][:len(part)])
        penalty = sum(a.penalty for a in nets.activations(worker) if a.penalty is not None)
        ((loss + args.range_weight * penalty) * share).backward()
        if odd is not None:
            # Normalised as in use: statistics of a batch with such pictures in it would hide how far they reach.
            worker.eval()
            for act in nets.activations(worker):
                act.tail_from = args.odd_from
            worker(odd.to(device))
            tail = sum(a.tail.mean() for a in nets.activations(worker))
            (args.odd_weight * tail * share).backward()
            for act in nets.activations(worker):
                act.tail_from, act.tail = 0.0, None
            worker.train()
        return losses.sum().item(), (logits.argmax(1) == y).sum().item(), float(penalty) * len(part)

    # One thread per copy of the net waits for the others once a step; threads inside an operator
    # wait in each one, which on a busy machine costs half of the time.
    workers, pool = [model], map
    if args.parallel > 1:
        workers = [copy.deepcopy(model) for _ in range(args.parallel)]
        pool = concurrent.futures.ThreadPoolExecutor(
            args.parallel, initializer=torch.set_num_threads, initargs=(args.threads,)).map

    count = len(labels)
    steps_per_epoch = count // args.batch
    start, start_cpu, steps_here = time.time(), time.process_time(), 0

    def progress():
        if args.deadline_minutes:
            return offset + (1.0 - offset) * (time.time() - start) / (60.0 * args.deadline_minutes)
        return step / (args.epochs * steps_per_epoch)

    log = open(out / "log.tsv", "a")
    if log.tell() == 0:
        log.write("epoch\tprogress\tseconds\tcpu_seconds\tlr\tloss\ttrain_acc\tpenalty\tval_acc\tval_loss\n")
    saved_at = time.time()
    probe = nets.build(model.config).to(device).to(memory_format=torch.channels_last)
    p = progress()
    while p < 1.0:
        order = torch.randperm(count, generator=generator)
        weight = torch.ones(count)
        known = score.isfinite()    # the rest of an uneven division may be unknown
        if args.prune and p < 0.875 and known.float().mean() > 0.9:
            easy = known & (score < score[known].mean())
            weight[easy] = 1.0 / (1.0 - args.prune)
            dropped = easy & (torch.rand(count, generator=generator) < args.prune)
            order = order[~dropped[order]]
        t0, c0 = time.time(), time.process_time()
        total, right, seen, penalties = 0.0, 0, 0, 0.0
        model.train()
        for k in range(len(order) // args.batch):
            p = progress()
            if p >= 1.0:
                break
            factor = min((0.1 + 0.9 * p / args.warmup) if args.warmup else 1.0,
                         (1.0 - p) / (1.0 - args.warmup))
            for group in muon.param_groups:
                group["lr"] = args.lr * factor * group["factor"]
            adam.param_groups[0]["lr"] = args.lr_small * factor
            blend = min(1.0, p / args.gradual) if args.gradual else 1.0
            if args.freeze and p >= 1.0 - args.freeze and not model.act[0].frozen:
                freeze(model, workers, average, args)
            index = order[k * args.batch:(k + 1) * args.batch]
            spread(model, workers)
            for worker in workers:
                worker.still = 2 if k % args.early_every else 0
                for act in nets.activations(worker):
                    act.blend = blend if act.gradual else 1.0
            for act in nets.activations(workers[0]):
                act.follow = 0 if k % FOLLOW_EVERY else args.micro_batch - augment.tinted(args.micro_batch)
            parts = [(part, pictures(part), odd_pictures(k)) for part in
                     index.split(args.micro_batch)]
            model.train()
            for at in range(0, len(parts), len(workers)):
                jobs = parts[at:at + len(workers)]
                done = list(pool(learn, workers[:len(jobs)], jobs, [weight] * len(jobs),
                                 [len(job[0]) / len(index) for job in jobs]))
                total += sum(d[0] for d in done)
                right += sum(d[1] for d in done)
                penalties += sum(d[2] for d in done)
                seen += sum(len(job[0]) for job in jobs)
            gather(model, workers)
            torch.nn.utils.clip_grad_norm_(small, 1.0)
            if not math.isfinite(total):
                raise SystemExit(f"loss is not finite at epoch {epoch}, step {k}; lower --lr")
            muon.step()
            adam.step()
            nets.project(model)
            step += 1
            steps_here += 1
            average.update(model, min(0.99, 1.0 - 8.0 / (step + 8.0)))
            if time.time() - saved_at > 60 * args.save_minutes:
                save(last, min(p, 1.0))   # resuming starts this epoch again, in another order
                saved_at = time.time()
            if not args.quiet and k % 20 == 19:
                done = time.time() - start
                if args.deadline_minutes:
                    left = 60 * args.deadline_minutes - done
                else:
                    left = done / steps_here * (args.epochs * steps_per_epoch - step)
                print(f"epoch {epoch} {k + 1}/{len(order) // args.batch} loss {total / seen:.4f} "
                      f"acc {right / seen:.4f} pen {penalties / seen:.5f} p {p:.3f} "
                      f"{(time.time() - t0) / (k + 1):.2f} s/step, {left / 60:.0f} min left", flush=True)
        if not seen:
            break
        epoch += 1
        probe.load_state_dict(average.state)
        val, val_loss = accuracy(probe, *sets["val"], device)
        p = progress()
        row = (f"{epoch}\t{p:.4f}\t{time.time() - t0:.1f}\t{time.process_time() - c0:.1f}\t"
               f"{muon.param_groups[-1]['lr']:.5f}\t{total / seen:.4f}\t{right / seen:.4f}\t"
               f"{penalties / seen:.6f}\t{val:.4f}\t{val_loss:.4f}")
        log.write(row + "\n")
        log.flush()
        print("epoch done:", row.replace("\t", " "), flush=True)
        save(last, min(p, 1.0), {"val": val})
        saved_at = time.time()
    nets_state = {"config": model.config, "model": average.state, "args": vars(args),
                  "epoch": epoch, "step": step}
    torch.save(nets_state, out / "final.pt")
    print(f"finished: {epoch} epochs, {step} steps, {(time.time() - start) / 60:.1f} minutes, "
          f"{(time.process_time() - start_cpu) / 60:.1f} CPU minutes", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
