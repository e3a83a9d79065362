/** The page's side of the worker: one sound in, what there is to show and play out. */

export class Coder {
  #worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  #id = 0;
  #waiting = null;

  /**
   * @param {{ready: () => void, failed: (line: string) => void,
   *   progress: (stage: string, done: number) => void}} told
   */
  constructor({ ready, failed, progress }) {
    this.#worker.onmessage = ({ data }) => {
      if (data.ready) ready();
      else if (data.failed) failed(data.failed);
      else if (data.id !== this.#id) return; // of a sound that nobody waits for any more
      else if (data.stage) progress(data.stage, data.progress);
      else if (data.error) this.#waiting.reject(new Error(data.error));
      else this.#waiting.resolve(data.coded);
    };
    this.#worker.onerror = (event) => failed(event.message || "the codec could not be started");
  }

  /**
   * @param {object} job  as worker.js takes it, without an id
   * @param {ArrayBuffer[]} buffers  to hand over
   */
  code(job, buffers) {
    this.#worker.postMessage({ ...job, id: ++this.#id }, buffers);
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }
}
