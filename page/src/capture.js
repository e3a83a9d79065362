/** Runs in the audio thread: hands on what the microphone gives, the mean of its channels. */

class Capture extends AudioWorkletProcessor {
  process([channels]) {
    if (channels.length) {
      const mean = channels[0].map((_, n) => channels.reduce((sum, c) => sum + c[n], 0) / channels.length);
      this.port.postMessage(mean, [mean.buffer]);
    }
    return true;
  }
}

registerProcessor("capture", Capture);
