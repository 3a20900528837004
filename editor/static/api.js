// Requests to the server, and the WebSocket of a scene.

export class Refused extends Error {}

/** Ask the server; objects are sent as JSON, Blobs as they are. Throws Refused with its message. */
export async function ask(path, body, signal) {
  const isFile = body instanceof Blob;
  const headers = body === undefined || isFile ? {} : { "content-type": "application/json" };
  let response;
  try {
    response = await fetch(path, {
      method: body === undefined ? "GET" : "POST",
      body: body === undefined || isFile ? body : JSON.stringify(body),
      headers, signal,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused("The editor's program does not answer; is it still running?");
  }
  if (response.ok) return response;
  const { error = response.statusText } = await response.json().catch(() => ({}));
  throw new Refused(error);
}

export const askJson = async (...args) => (await ask(...args)).json();
export const askUrl = async (...args) => URL.createObjectURL(await (await ask(...args)).blob());

/** A scene's WebSocket: operations to the server; maps, pictures and the state back, in order. */
export class Live {
  /** handlers: maps(header, values), image(header, png), state(message), error(text), open(bool) */
  constructor(path, handlers) {
    Object.assign(this, { path, handlers, number: 0, done: 0, waiting: [], waitsForDone: [], closed: false });
    this.connect();
  }

  connect() {
    const address = new URL(this.path, location.href);
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    this.socket = new WebSocket(address);
    this.socket.binaryType = "arraybuffer";
    let order = Promise.resolve();
    this.socket.onmessage = ({ data }) => {
      order = order.then(() => this.handle(data)).catch((error) => console.error(error));
    };
    this.socket.onopen = () => {
      if (this.wasOpen) { // what was under way is lost, and numbers begin anew
        this.number = this.done = 0;
        this.waiting = [];
        this.waitsForDone.splice(0).forEach((done) => done());
      }
      this.wasOpen = true;
      this.handlers.open(true);
      for (const text of this.waiting.splice(0)) this.socket.send(text);
    };
    this.socket.onclose = () => {
      if (this.closed) return;
      this.handlers.open(false);
      setTimeout(() => this.closed || this.connect(), 1000);
    };
  }

  async handle(data) {
    if (typeof data === "string") {
      const message = JSON.parse(data);
      if (message.kind === "error") return this.handlers.error(message.message);
      this.done = Math.max(this.done, message.done);
      if (this.done >= this.number) this.waitsForDone.splice(0).forEach((done) => done());
      return this.handlers.state(message);
    }
    const length = new DataView(data).getUint32(0, true);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
    const rest = new Blob([new Uint8Array(data, 4 + length)]);
    if (header.kind === "image") {
      this.handlers.image(header, rest); // maps need not wait for it to be decoded
    } else {
      const values = rest.stream().pipeThrough(new DecompressionStream("deflate"));
      this.handlers.maps(header, await new Response(values).arrayBuffer());
    }
  }

  /** Returns the operation's number, which a state's `done` reaches when it is worked off. */
  send(operation, last = true) {
    const text = JSON.stringify({ number: ++this.number, operation, last });
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(text);
    else this.waiting.push(text);
    return this.number;
  }

  /** Resolves when the server has worked off what was sent. */
  async settled() {
    if (this.done < this.number) await new Promise((done) => this.waitsForDone.push(done));
  }

  close() {
    this.closed = true;
    this.socket.close();
  }
}
