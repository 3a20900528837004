// Requests to the server, and the WebSocket of a scene.

/** Of what the server refused, with its status; of no answer, without. */
export class Refused extends Error {
  constructor(message, status) { super(message); this.status = status; }
}

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
  throw new Refused(error, response.status);
}

export async function askJson(...args) {
  const response = await ask(...args);
  try {
    return await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused("The editor's program broke off its answer; is it still running?");
  }
}
export const askUrl = async (...args) => URL.createObjectURL(await (await ask(...args)).blob());

/** A scene's WebSocket: operations to the server; maps, pictures and the state back, in order. */
export class Live {
  /** handlers, none of which is called after `close`: maps(header, values), image(header, bitmap),
   *  state(message), error(text, number of what was refused, version that cannot be drawn), open(bool),
   *  gone(text): the server has the scene no more */
  constructor(scene, handlers) {
    Object.assign(this, { scene, handlers, closed: false, waitsForDone: [] });
    this.begin();
    this.connect();
  }

  /** Messages have numbers: of the last one that was made, that was sent, and that was worked off. In the
   *  queue are those to be sent, and requests that keep their turn between them. */
  begin() { Object.assign(this, { number: 0, sent: 0, done: 0, queue: [] }); }

  connect() {
    const address = new URL(`${this.scene}/live`, location.href);
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    const socket = this.socket = new WebSocket(address);
    socket.binaryType = "arraybuffer";
    let order = Promise.resolve();
    socket.onmessage = ({ data }) => { // of a connection that was lost, nothing counts any more
      order = order.then(() => socket === this.socket && this.handle(data)).catch((error) => console.error(error));
    };
    socket.onopen = () => {
      if (this.wasOpen) { // what was under way is lost, and numbers begin anew
        this.giveUp("The connection was lost, and strokes under way may be lost with it: look before you go on.");
        this.begin();
      }
      this.wasOpen = true;
      this.handlers.open(true);
      this.work();
    };
    socket.onclose = () => {
      if (this.closed) return;
      this.handlers.open(false);
      setTimeout(() => this.again(), 1000);
    };
  }

  /** Something that was asked for is not worked off. */
  get isBusy() { return !this.closed && Boolean(this.isWaiting || this.queue.length || this.done < this.number); }

  get isAway() { return this.wasOpen && this.socket.readyState !== WebSocket.OPEN; }

  /** Connect anew, if the program answers and still has the scene. */
  async again() {
    if (this.closed) return;
    try {
      await ask(this.scene);
    } catch ({ message, status }) {
      if (this.closed) return;
      if (!(status >= 400 && status < 500)) return void setTimeout(() => this.again(), 1000);
      this.giveUp(message);
      this.closed = true;
      return this.handlers.gone(message);
    }
    if (!this.closed) this.connect();
  }

  /** Nobody will work off what was sent. */
  giveUp(message) {
    if (this.done < this.number) this.tell("error", message, this.number);
    for (const { fail } of [...this.waitsForDone.splice(0), ...this.queue.splice(0)]) fail?.(new Refused(message));
  }

  /** What came may take a while to unpack, and the page may be at another scene by then. */
  tell(handler, ...what) { if (!this.closed) this.handlers[handler](...what); }

  async handle(data) {
    if (typeof data === "string") {
      const message = JSON.parse(data);
      if (message.kind === "error") {
        return this.tell("error", message.message, message.number ?? -1, message.version ?? -1);
      }
      this.done = Math.max(this.done, message.done);
      if (this.done >= this.sent) this.waitsForDone.splice(0).forEach(({ done }) => done());
      return this.tell("state", message);
    }
    const length = new DataView(data).getUint32(0, true);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
    const rest = new Blob([new Uint8Array(data, 4 + length)]);
    if (header.kind === "image") { // maps need not wait for it
      const { socket } = this;
      createImageBitmap(rest).then((bitmap) => socket === this.socket && this.tell("image", header, bitmap));
    } else {
      const values = rest.stream().pipeThrough(new DecompressionStream("deflate"));
      this.tell("maps", header, await new Response(values).arrayBuffer());
    }
  }

  /** Returns the operation's number, which a state's `done` reaches when it is worked off; null takes back
   *  the stroke under way. */
  send(operation, last = true) {
    const number = ++this.number;
    this.queue.push({ number, text: JSON.stringify({ number, operation, last }) });
    this.work();
    return number;
  }

  /** What a request returns, made after all that was asked for before and ahead of what is asked for after.
   *  Throws Refused, also where it cannot be made any more. */
  inTurn(request) {
    return new Promise((done, fail) => {
      if (this.closed) return fail(new Refused("The editor's program has this scene no more."));
      this.queue.push({ request, done, fail });
      this.work();
    });
  }

  /** Resolves when the server has worked off what was sent, fails if it never will. */
  async settled() {
    if (this.done < this.sent) await new Promise((done, fail) => this.waitsForDone.push({ done, fail }));
  }

  async work() {
    if (this.isWaiting) return;
    while (this.queue.length) {
      const { number, text, request, done, fail } = this.queue[0];
      if (text && this.socket.readyState !== WebSocket.OPEN) return;
      if (text) {
        this.queue.shift();
        this.socket.send(text);
        this.sent = number;
        continue;
      }
      this.isWaiting = true;
      try {
        await this.settled();
        this.queue.shift();
        done(await request());
      } catch (error) {
        fail(error);
      }
      this.isWaiting = false;
    }
  }

  close() {
    this.closed = true;
    this.giveUp("The page is at another scene.");
    this.socket.close();
  }
}
