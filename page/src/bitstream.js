/** The `.bsc` file, as docs/bitstream.md has it: a header, then blocks of ten seconds of codes. */

import { concat, littleEndian, sameBytes } from "./bytes.js";
import { crc32 } from "./crc32.js";
import {
  BitstreamError,
  bitsOf,
  frameBits,
  framesOf,
  framesPerBlock,
  packHeader,
  unpackHeader,
} from "./header.js";

/**
 * The bytes of a file.
 *
 * @param {import('./header.js').Header} header
 * @param {ArrayLike<number>[]} codes  one row of frames a band; of several channels, channel after channel
 */
export function packBsc(header, codes) {
  const parts = [packHeader(header)];
  const size = framesPerBlock(header);
  const frames = framesOf(header);
  for (let index = 0; index * size < frames; index++) {
    const end = Math.min(frames, (index + 1) * size);
    const payload = packCodes(header, codes, index * size, end);
    parts.push(payload, blockCrc(index, payload));
  }
  return concat(parts);
}

/**
 * Read the bytes of a file.
 *
 * @param {Uint8Array} data
 * @returns {{header: import('./header.js').Header, codes: Uint32Array[]}}  `codes` as for `packBsc`
 * @throws {BitstreamError}
 */
export function unpackBsc(data) {
  const { header, size } = unpackHeader(data);
  if (!header.numSamples) throw new BitstreamError("the file holds no audio (it was never finished)");
  const frames = framesOf(header);
  const perBlock = framesPerBlock(header);
  const blockBytes = (count) => Math.ceil((count * frameBits(header)) / 8) + 4;
  const full = Math.floor(frames / perBlock);
  const rest = frames - full * perBlock;
  const expected = size + full * blockBytes(perBlock) + (rest ? blockBytes(rest) : 0);
  if (data.length < expected) {
    throw new BitstreamError(`the file is cut short: ${data.length} of ${expected} bytes`);
  }
  if (data.length > expected) {
    throw new BitstreamError(`${data.length - expected} bytes too many after the last block`);
  }
  const rows = header.numChannels * header.bands.length;
  const codes = Array.from({ length: rows }, () => new Uint32Array(frames));
  const blocks = Math.ceil(frames / perBlock);
  for (let index = 0, at = size; index < blocks; index++) {
    const start = index * perBlock;
    const end = Math.min(frames, start + perBlock);
    const payload = data.subarray(at, at + blockBytes(end - start) - 4);
    const stored = data.subarray(at + payload.length, at + payload.length + 4);
    const good = sameBytes(stored, blockCrc(index, payload));
    if (!good || !unpackCodes(header, payload, codes, start, end)) {
      throw new BitstreamError(`block ${index + 1} of ${blocks} is damaged`);
    }
    at += payload.length + 4;
  }
  return { header, codes };
}

function packCodes(header, codes, start, end) {
  const bits = bitsOf(header);
  const payload = new Uint8Array(Math.ceil(((end - start) * frameBits(header)) / 8));
  let at = 0;
  for (let frame = start; frame < end; frame++) {
    codes.forEach((row, i) => {
      for (let bit = bits[i % bits.length] - 1; bit >= 0; bit--, at++) {
        payload[at >> 3] |= ((row[frame] >>> bit) & 1) << (7 - (at & 7));
      }
    });
  }
  return payload;
}

/** Fill in a block's codes; false: an index outside of its codebook, or padding that is not zero. */
function unpackCodes(header, payload, codes, start, end) {
  const bits = bitsOf(header);
  let at = 0;
  const read = () => (payload[at >> 3] >> (7 - (at++ & 7))) & 1;
  for (let frame = start; frame < end; frame++) {
    for (let i = 0; i < codes.length; i++) {
      let value = 0;
      for (let bit = 0; bit < bits[i % bits.length]; bit++) value = value * 2 + read();
      if (value >= header.codebookSizes[i % bits.length]) return false;
      codes[i][frame] = value;
    }
  }
  while (at < 8 * payload.length) if (read()) return false;
  return true;
}

function blockCrc(index, payload) {
  return littleEndian(crc32(payload, crc32(littleEndian(index, 4))), 4);
}
