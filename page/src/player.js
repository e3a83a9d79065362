/**
 * Plays the original and the decoded bands as channels of one source, so that they keep step to the
 * sample: what is heard is a matter of gains alone.
 */

const FADE = 0.004; // s, of a switch: too short to be heard, long enough not to click

export class Player {
  /** @param {() => void} changed  called when it starts, stops or comes to the end */
  constructor(changed) {
    this.changed = changed;
    this.mode = "decoded";
    this.audible = [];
    this.loop = false;
    this.duration = 0;
    this.offset = 0; // where it stands while it does not play
    this.source = null;
  }

  get playing() {
    return this.source !== null;
  }

  /** In seconds. */
  get position() {
    if (!this.source) return this.offset;
    const elapsed = this.offset + this.context.currentTime - this.startedAt;
    return this.loop ? elapsed % this.duration : Math.min(elapsed, this.duration);
  }

  /**
   * @param {Float32Array | null} original
   * @param {Float32Array[]} bands
   * @param {number} rate  in Hz
   */
  load(original, bands, rate) {
    this.stop();
    this.context ??= new AudioContext();
    this.splitter?.disconnect();
    const signals = original ? [original, ...bands] : bands;
    this.hasOriginal = original !== null;
    this.buffer = this.context.createBuffer(signals.length, signals[0].length, rate);
    signals.forEach((samples, channel) => this.buffer.copyToChannel(samples, channel));
    this.duration = this.buffer.duration;
    this.offset = 0;
    this.audible = bands.map(() => true);
    this.splitter = new ChannelSplitterNode(this.context, { numberOfOutputs: signals.length });
    this.gains = signals.map((_, channel) => {
      const gain = new GainNode(this.context, { gain: 0 });
      this.splitter.connect(gain, channel).connect(this.context.destination);
      return gain;
    });
    this.#mix(0);
  }

  async play() {
    if (this.source || !this.buffer) return;
    if (this.offset >= this.duration - 0.01) this.offset = 0;
    const source = new AudioBufferSourceNode(this.context, { buffer: this.buffer, loop: this.loop });
    this.source = source;
    source.connect(this.splitter);
    source.onended = () => {
      if (this.source !== source) return;
      this.source = null;
      this.offset = 0;
      this.changed();
    };
    this.startedAt = this.context.currentTime;
    await this.context.resume();
    if (this.source !== source) return; // stopped meanwhile
    this.startedAt = this.context.currentTime;
    source.start(0, this.offset);
    this.changed();
  }

  pause() {
    this.offset = this.position;
    this.stop();
    this.changed();
  }

  stop() {
    const source = this.source;
    this.source = null;
    source?.disconnect();
  }

  /** @param {number} seconds */
  seek(seconds) {
    const wasPlaying = this.playing;
    this.stop();
    this.offset = Math.max(0, Math.min(this.duration, seconds));
    if (wasPlaying) this.play();
    else this.changed();
  }

  /** @param {boolean} loop */
  setLoop(loop) {
    this.offset = this.position;
    this.startedAt = this.context?.currentTime;
    this.loop = loop;
    if (this.source) this.source.loop = loop;
  }

  /** @param {"original" | "decoded" | "difference"} mode */
  setMode(mode) {
    this.mode = mode;
    this.#mix(FADE);
  }

  /** @param {boolean[]} audible  one a band */
  setAudible(audible) {
    this.audible = audible;
    this.#mix(FADE);
  }

  #mix(fade) {
    if (!this.gains) return;
    const original = this.mode === "decoded" ? 0 : 1;
    const decoded = { original: 0, decoded: 1, difference: -1 }[this.mode];
    const values = this.audible.map((on) => (on ? decoded : 0));
    if (this.hasOriginal) values.unshift(original);
    const now = this.context.currentTime;
    this.gains.forEach(({ gain }, channel) => {
      gain.cancelScheduledValues(now);
      gain.setTargetAtTime(values[channel], now, fade || 1e-6);
    });
  }
}
