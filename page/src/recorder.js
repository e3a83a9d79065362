/** The microphone as plain samples, not as a file of some other codec. */

import captureUrl from "./capture.js?url";

const PLAIN = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };

/**
 * Start to record one channel.
 *
 * @param {(seconds: number) => void} progress
 * @returns {Promise<{rate: number, stop: () => Float32Array}>}
 */
export async function record(progress) {
  if (!navigator.mediaDevices) throw new Error("recording needs a page served by https or localhost");
  const stream = await navigator.mediaDevices.getUserMedia({ audio: PLAIN });
  const context = new AudioContext();
  const release = () => {
    stream.getTracks().forEach((track) => track.stop());
    context.close();
  };
  try {
    await context.audioWorklet.addModule(captureUrl);
  } catch (error) {
    release();
    throw error;
  }
  const blocks = [];
  let count = 0;
  const capture = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0 });
  capture.port.onmessage = ({ data }) => {
    blocks.push(data);
    count += data.length;
    progress(count / context.sampleRate);
  };
  new MediaStreamAudioSourceNode(context, { mediaStream: stream }).connect(capture);
  const stop = () => {
    capture.port.onmessage = null;
    release();
    const samples = new Float32Array(count);
    let at = 0;
    for (const block of blocks) {
      samples.set(block, at);
      at += block.length;
    }
    return samples;
  };
  return { rate: context.sampleRate, stop };
}
