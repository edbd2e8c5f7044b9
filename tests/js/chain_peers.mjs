// Keys, signatures, calls and extrinsics of the chain client, checked by independent JavaScript implementations.
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import assert from 'node:assert/strict';
import { Metadata, TypeRegistry } from '@polkadot/types';
import { hexToU8a, u8aToHex } from '@polkadot/util';
import { cryptoWaitReady, encodeAddress, sr25519PairFromSeed, sr25519Sign, sr25519Verify } from '@polkadot/util-crypto';

const tool = process.argv[2];
const root = new URL('../../', import.meta.url).pathname;
const metadataFile = `${root}vectors/chain/metadata-spec224.scale`;
const run = (args, input) => execFileSync(tool, args, { input, maxBuffer: 1 << 28, encoding: 'utf8' }).trim().split('\n');

await cryptoWaitReady();

// Signed there, verified here; the public key and address derived again from the seed.
const kKeys = 1000;
let count = 0;
for (const line of run(['sign', String(kKeys)])) {
  const { seed, pub, ss58, message, signature } = JSON.parse(line);
  const pair = sr25519PairFromSeed(hexToU8a(seed));
  assert.equal(u8aToHex(pair.publicKey), pub);
  assert.equal(encodeAddress(pair.publicKey, 42), ss58);
  assert.ok(sr25519Verify(hexToU8a(message), hexToU8a(signature), pair.publicKey));
  ++count;
}
assert.equal(count, kKeys);

// Signed here, verified there.
const lines = [];
for (let i = 0; i < kKeys; ++i) {
  const pair = sr25519PairFromSeed(randomBytes(32));
  const message = randomBytes(i % 700);
  const signature = sr25519Sign(message, pair);
  lines.push([u8aToHex(pair.publicKey), u8aToHex(message), u8aToHex(signature)].join(' '));
}
assert.equal(run(['verify'], lines.join('\n') + '\n')[0], `${kKeys} of ${kKeys} verified`);

// Calls and extrinsics encoded there, decoded here from the same metadata.
const registry = new TypeRegistry();
const log = console.warn;
console.warn = () => {};  // It says that it treats the chain's own extensions as empty, which they are.
registry.setMetadata(new Metadata(registry, new Uint8Array(readFileSync(metadataFile))));
console.warn = log;
const plain = (codec) => {
  if (codec.isEmpty && codec.toRawType() === 'Bytes') return '0x';
  const json = codec.toJSON();
  const raw = codec.toRawType();
  if (raw === 'AccountId') return u8aToHex(codec.toU8a());
  if (raw === 'Bytes') return codec.toHex();
  if (Array.isArray(json)) return [...codec].map(plain);
  if (typeof codec.toBigInt === 'function') return codec.toBigInt().toString();
  return json;
};
const seen = new Map();
for (const line of run(['calls', metadataFile, '200'])) {
  const { pallet, call, args, bytes, extrinsic, signer, nonce, tip } = JSON.parse(line);
  const decoded = registry.createType('Call', hexToU8a(bytes));
  assert.equal(decoded.section.toLowerCase(), pallet.toLowerCase());
  assert.equal(decoded.method.replace(/[A-Z0-9]/g, (c) => (/[A-Z]/.test(c) ? '_' + c.toLowerCase() : c)), call);
  const got = {};
  decoded.meta.args.forEach((argument, i) => { got[argument.name.toString()] = plain(decoded.args[i]); });
  const camel = (name) => name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());  // As names are written here.
  assert.deepEqual(got, Object.fromEntries(Object.entries(args).map(([name, value]) => [camel(name), value])));
  const whole = registry.createType('Extrinsic', hexToU8a(extrinsic), { isSigned: true, version: 4 });
  assert.equal(u8aToHex(whole.signer.toU8a(true).slice(-32)), signer);
  assert.equal(whole.nonce.toNumber(), nonce);
  assert.equal(whole.tip.toBigInt().toString(), tip);
  assert.equal(whole.method.toHex(), bytes);
  assert.equal(whole.toHex(), extrinsic);
  // The payload is built here from the decoded parts, so its layout is checked as well.
  const payload = registry.createType('ExtrinsicPayload', {
    method: whole.method.toHex(), era: whole.era.toHex(), nonce: whole.nonce, tip: whole.tip, mode: 0, metadataHash: null,
    specVersion: 224, transactionVersion: 1, genesisHash: '0x' + '45'.repeat(32), blockHash: '0x' + 'ab'.repeat(32),
  }, { version: 4 });
  let signed = payload.toU8a({ method: true });
  if (signed.length > 256) signed = registry.hash(signed);
  assert.ok(sr25519Verify(signed, whole.signature.toU8a().slice(-64), hexToU8a(signer)), `${call} signature`);
  seen.set(call, (seen.get(call) ?? 0) + 1);
}
assert.ok([...seen.values()].reduce((a, b) => a + b) === 200);
console.log(`${kKeys} signatures each way, 200 calls and signed extrinsics over ${seen.size} kinds: all agree`);
