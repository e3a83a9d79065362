/** The package's demo clips and whom to credit for them. */

import table from "../../espnet2/gan_codec/bscodec/demo/clips/licences.tsv?raw";

const urls = import.meta.glob("../../espnet2/gan_codec/bscodec/demo/clips/*.flac", {
  query: "?url",
  import: "default",
  eager: true,
});
const LABELS = {
  speech_tux_ru: "Speech, Russian",
  speech_tux_be: "Speech, Belarusian",
  speech_pd_voice: "Speech, English",
  music_feelings: "Rock band",
  music_tabla: "Tabla",
  music_nebula: "Synthesizers",
  sound_applause: "Applause",
  sound_sawmill: "Sawmill",
};
const rows = table.trim().split("\n").slice(1).map((line) => line.split("\t"));

/** @type {{name: string, label: string, url: string, licence: string, author: string}[]} */
export const clips = Object.entries(LABELS).map(([name, label]) => {
  const [, , licence, author] = rows.find(([clip]) => clip === name);
  const url = Object.entries(urls).find(([path]) => path.endsWith(`/${name}.flac`))[1];
  return { name, label, url, licence, author };
});
