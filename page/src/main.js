/** The page: sounds come in, are coded, shown, played and saved. */

import { drawCodes, fillBands } from "./bands.js";
import { decodeFile } from "./browser_decode.js";
import { clips } from "./clips.js";
import { Coder } from "./coder.js";
import { fillFacts } from "./facts.js";
import { isBsc } from "./header.js";
import { fit, onTheme } from "./palette.js";
import { Player } from "./player.js";
import { record } from "./recorder.js";
import { LONGEST } from "./signal.js";
import { analyse, draw, loudest } from "./spectrogram.js";
import { isWav, writeWav } from "./wav.js";

const MAX_BYTES = 500e6; // of a file: ten minutes of any PCM are less
const $ = (id) => document.getElementById(id);

const player = new Player(showTransport);
const coder = new Coder({
  ready: () => (current ? null : say("Ready. Choose a sound.")),
  failed: complain,
  progress: (stage, done) => say(`${stage} …`, done),
});
let current = null; // what is shown: the worker's answer, its name, and which bands are heard
let turn = 0; // counts the sounds that were chosen: only the newest may be shown
let recording = null;
let frame = 0; // of the position's animation

// --- a sound comes in ---

/**
 * Code a sound and show it.
 *
 * @param {string} name  what it is called
 * @param {() => Promise<[object, ArrayBuffer[]]>} read  gives a job for the worker
 */
async function take(name, read) {
  const mine = ++turn;
  $("error").hidden = true;
  say("Reading …");
  try {
    const coded = await coder.code(...(await read()));
    if (mine === turn) show(name, coded);
  } catch (error) {
    if (mine !== turn) return;
    say("");
    complain(`${name}: ${error.message}`);
  }
}

async function readFile(file) {
  if (!file.size) throw new Error("the file is empty");
  if (file.size > MAX_BYTES) throw new Error("too large for this page: use the bscodec command");
  const bytes = new Uint8Array(await file.arrayBuffer());
  if (isBsc(bytes)) return [{ bsc: bytes }, [bytes.buffer]];
  if (isWav(bytes)) return [{ wav: bytes }, [bytes.buffer]];
  const sound = await decodeFile(bytes, file);
  return [sound, sound.channels.map((channel) => channel.buffer)];
}

function takeFile(file) {
  markClip(null);
  take(file.name, () => readFile(file));
}

function takeClip(clip) {
  markClip(clip);
  take(clip.label, async () => {
    const response = await fetch(clip.url);
    if (!response.ok) throw new Error("the clip could not be loaded");
    return readFile(await response.blob());
  });
}

function markClip(chosen) {
  clips.forEach((clip, i) => $("clips").children[i].setAttribute("aria-current", clip === chosen));
}

async function toggleRecording() {
  if (recording) {
    const { rate, stop } = recording;
    recording = null;
    showRecording();
    const samples = stop();
    markClip(null);
    take("Recording", async () => {
      if (!samples.length) throw new Error("nothing was heard");
      return [{ channels: [samples], rate }, [samples.buffer]];
    });
    return;
  }
  turn++; // what is still being coded is not shown any more
  player.stop();
  $("error").hidden = true;
  try {
    recording = await record((seconds) => {
      if (recording) showRecording(`Stop ${clock(seconds)}`);
      if (recording && seconds >= LONGEST - 1) toggleRecording();
    });
    say("Recording …");
  } catch (error) {
    complain(`No recording: ${error.message}`);
  }
  showRecording();
}

function showRecording(label = recording ? "Stop" : "Record") {
  $("record").setAttribute("aria-pressed", String(recording !== null));
  $("record").lastElementChild.textContent = label;
}

// --- what is shown ---

function say(line, done = null) {
  if ($("status").textContent !== line) $("status").textContent = line; // read aloud once
  $("progress").hidden = done === null;
  if (done !== null) $("progress").value = done;
}

function complain(line) {
  say("");
  $("error").textContent = line;
  $("error").hidden = false;
}

function show(name, coded) {
  const { header, codes, audio, bandAudio } = coded;
  current = { ...coded, name, audible: codes.map(() => true) };
  $("result").hidden = false;
  $("name").textContent = name;
  player.load(audio, bandAudio, header.samplingRate);
  for (const radio of $("mode").querySelectorAll("input")) {
    radio.disabled = !audio && radio.value !== "decoded";
    radio.checked = radio.value === "decoded";
  }
  player.setMode("decoded");
  $("original").hidden = !audio;
  $("seek").max = player.duration;
  current.canvases = fillBands($("bands"), header.bands, (audible) => {
    current.audible = audible;
    player.setAudible(audible);
    drawDecoded();
  });
  fillFacts($("facts"), coded);
  say("Done.");
  drawAll();
  showTransport();
}

function drawAll() {
  if (!current) return;
  const { header, codes, audio, canvases } = current;
  const [original] = $("original").getElementsByTagName("canvas");
  current.top = null;
  if (audio) {
    fit(original);
    const spectrogram = analyse([audio], original.width);
    current.top = loudest(spectrogram);
    draw(original, spectrogram, current.top, header.samplingRate, edges());
  }
  drawDecoded();
  codes.forEach((row, band) => drawCodes(canvases[band], row, header.codebookSizes[band]));
}

function drawDecoded() {
  const { bandAudio, audible, header } = current;
  const [canvas] = $("decoded").getElementsByTagName("canvas");
  fit(canvas);
  const heard = bandAudio.filter((_, band) => audible[band]);
  const spectrogram = analyse(heard, canvas.width);
  current.top ??= loudest(spectrogram);
  draw(canvas, spectrogram, current.top, header.samplingRate, edges());
}

function edges() {
  return current.header.bands.map(([low]) => low);
}

// --- playing ---

function showTransport() {
  cancelAnimationFrame(frame);
  $("play").setAttribute("aria-label", player.playing ? "Pause" : "Play");
  showPosition();
  if (player.playing) frame = requestAnimationFrame(showTransport);
}

function showPosition() {
  const { position, duration } = player;
  $("seek").value = position;
  $("seek").setAttribute("aria-valuetext", `${position.toFixed(1)} of ${duration.toFixed(1)} seconds`);
  $("time").textContent = `${clock(position)} / ${clock(duration)}`;
  $("result").style.setProperty("--position", duration ? position / duration : 0);
}

function clock(seconds) {
  const tenths = Math.floor(seconds * 10 + 1e-6);
  const minutes = Math.floor(tenths / 600);
  return `${minutes}:${((tenths % 600) / 10).toFixed(1).padStart(4, "0")}`;
}

function togglePlaying() {
  if (player.playing) player.pause();
  else player.play();
}

function chooseMode(mode) {
  const radio = $("mode").querySelector(`[value=${mode}]`);
  if (radio.disabled) return;
  radio.checked = true;
  player.setMode(mode);
}

// --- saving ---

function save(bytes, suffix, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([bytes], { type }));
  link.download = current.name.replace(/\.[^.]*$/, "") + suffix;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

function decodedSum() {
  const [first, ...others] = current.bandAudio;
  const sum = first.slice();
  for (const band of others) band.forEach((x, n) => (sum[n] += x));
  return sum;
}

// --- what a user does ---

$("file").onchange = ({ target }) => {
  if (target.files.length) takeFile(target.files[0]);
  target.value = ""; // so that the same file can be chosen again
};
$("record").onclick = toggleRecording;
$("play").onclick = togglePlaying;
$("seek").oninput = ({ target }) => player.seek(Number(target.value));
$("loop").onchange = ({ target }) => player.setLoop(target.checked);
$("mode").onchange = ({ target }) => chooseMode(target.value);
$("save-bsc").onclick = () => save(current.bsc, ".bsc", "application/octet-stream");
$("save-wav").onclick = () => save(writeWav(decodedSum(), current.header.samplingRate), ".wav", "audio/wav");
$("result").addEventListener("click", ({ target, clientX }) => {
  const plot = target.closest(".plot");
  if (!plot) return;
  const { left, width } = plot.getBoundingClientRect();
  player.seek(((clientX - left) / width) * player.duration);
});

for (const clip of clips) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = clip.label;
  button.onclick = () => takeClip(clip);
  $("clips").append(button);
  const credit = document.createElement("li");
  credit.textContent = `${clip.label}: ${clip.author} (${clip.licence})`;
  $("credits").append(credit);
}

document.addEventListener("keydown", (event) => {
  if (!current || event.ctrlKey || event.metaKey || event.altKey) return;
  const { target, key } = event;
  const isButton = target.matches("button, a, summary, input[type=checkbox], input[type=file]");
  const takesArrows = target.matches("input");
  const actions = {
    1: () => chooseMode("original"),
    2: () => chooseMode("decoded"),
    3: () => chooseMode("difference"),
  };
  if (!isButton) actions[" "] = togglePlaying;
  if (!takesArrows) {
    actions.ArrowLeft = () => player.seek(player.position - 1);
    actions.ArrowRight = () => player.seek(player.position + 1);
  }
  if (!actions[key]) return;
  event.preventDefault();
  actions[key]();
});

const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
addEventListener("dragover", (event) => {
  if (!carriesFiles(event)) return;
  event.preventDefault();
  document.body.classList.add("dropping");
});
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("dropping");
});
addEventListener("drop", (event) => {
  document.body.classList.remove("dropping");
  if (!carriesFiles(event)) return;
  event.preventDefault();
  if (event.dataTransfer.files.length) takeFile(event.dataTransfer.files[0]);
});

onTheme(drawAll);
let width = innerWidth;
addEventListener("resize", () => {
  if (innerWidth === width) return; // a phone's bar that comes and goes
  width = innerWidth;
  drawAll();
});
