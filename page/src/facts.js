/** The numbers below the pictures. */

import { bitrateOf } from "./header.js";

/**
 * @param {HTMLElement} list  a <dl>
 * @param {object} coded  what the worker answered
 */
export function fillFacts(list, coded) {
  const { header, bsc, encodeSeconds, decodeSeconds } = coded;
  const seconds = header.numSamples / header.samplingRate;
  const pcm = 2 * header.numSamples;
  const speed = (took) => [`${(seconds / took).toFixed(1)}×`, "as fast as the sound, on one core"];
  const facts = {
    Length: [`${seconds.toFixed(2)} s`, header.originalRate ? `was at ${header.originalRate} Hz` : `at ${header.samplingRate} Hz`],
    "Bit rate": [`${(bitrateOf(header) / 1000).toFixed(2)} kbit/s`, `${((8 * bsc.length) / seconds / 1000).toFixed(2)} kbit/s with the file's header`],
    File: [`${bsc.length.toLocaleString("en")} bytes`, `1/${Math.round(pcm / bsc.length)} of 16-bit samples`],
    Encoding: encodeSeconds ? speed(encodeSeconds) : ["–", "it was coded already"],
    Decoding: speed(decodeSeconds),
  };
  list.replaceChildren(
    ...Object.entries(facts).map(([name, [value, note]]) => {
      const entry = document.createElement("div");
      entry.innerHTML = `<dt>${name}</dt><dd>${value}<small>${note}</small></dd>`;
      return entry;
    }),
  );
}
