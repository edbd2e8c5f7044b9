// The pairing of timelocked commits: the one computation of Brainlock that no C++ library of Debian has. CIRCL, which has it, is a library of
// Go, so it runs as a program of its own.
//
// Input (160 bytes): the 32 bytes that the round is hashed to, a scalar r (32, big-endian), the beacon's public key (96, a compressed point of G2).
// Output (672 bytes): r times the generator of G2, compressed (96), and e(H(round), r * key) as arkworks writes it (576: every number of the
// tower little-endian, lowest coefficient first). Exit code 2: the input is none of that.
package main

import (
	"io"
	"os"

	bls "github.com/cloudflare/circl/ecc/bls12381"
)

const (
	messageBytes = 32
	scalarBytes  = 32
	inputBytes   = messageBytes + scalarBytes + bls.G2SizeCompressed
	// Of signatures in G1, as the beacon "quicknet" makes them (RFC 9380).
	domain = "BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_"
)

func refuse(reason string) {
	os.Stderr.WriteString("brainlock-pairing: " + reason + "\n")
	os.Exit(2)
}

func main() {
	input, err := io.ReadAll(io.LimitReader(os.Stdin, inputBytes+1))
	if err != nil || len(input) != inputBytes {
		refuse("expected 160 bytes")
	}
	var round bls.G1
	round.Hash(input[:messageBytes], []byte(domain))
	var r bls.Scalar
	r.SetBytes(input[messageBytes : messageBytes+scalarBytes])
	if r.IsZero() == 1 {
		refuse("the scalar is zero")
	}
	var key, point bls.G2
	if err := key.SetBytes(input[messageBytes+scalarBytes:]); err != nil || !key.IsOnG2() || key.IsIdentity() {
		refuse("the key is no point of G2")
	}
	point.ScalarMult(&r, bls.G2Generator())
	// In G2, where multiplication takes the same time for all scalars, instead of a power of the pairing's value.
	key.ScalarMult(&r, &key)
	value, err := bls.Pair(&round, &key).MarshalBinary()
	if err != nil {
		refuse("the pairing has no value")
	}
	// CIRCL writes numbers big-endian and the highest coefficient first.
	for i, j := 0, len(value)-1; i < j; i, j = i+1, j-1 {
		value[i], value[j] = value[j], value[i]
	}
	if _, err := os.Stdout.Write(append(point.BytesCompressed(), value...)); err != nil {
		os.Exit(1)
	}
}
