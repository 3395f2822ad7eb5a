/**
 * The client that gets killed. It plays the story's steps with a file store against its parent, in
 * the way that SECURITY.md asks of applications: what goes out is stored with the change that made it.
 * Arguments: directory, seed, and `finish` for the last run.
 */
import { Client, type Group, KeyDirectory, MlsError } from "../../src/index.ts";
import { fileStorage } from "../../src/storage/file.ts";
import { type Entry, randomFrom, type Reply, type Report, type Request } from "./kill-protocol.ts";

const [, , directory = "", seed = "0", mode] = process.argv;
const random = randomFrom(Number(seed));

class EverybodyIsGenuine extends KeyDirectory {
  override validate(identities: Parameters<KeyDirectory["validate"]>[0]): true[] {
    return identities.map(() => true);
  }
}

const waiting = new Map<number, (reply: Reply) => void>();
let lastId = 0;
const go = new Promise((resolve) => process.once("message", resolve));
process.on("message", (reply: Reply | "go") => {
  if (reply === "go") return;
  waiting.get(reply.id)?.(reply);
  waiting.delete(reply.id);
});

function tell(request: Request): void {
  process.send?.(request);
}

function ask(request: (id: number) => Request): Promise<Reply> {
  lastId += 1;
  const id = lastId;
  return new Promise((resolve) => {
    waiting.set(id, resolve);
    tell(request(id));
  });
}

class Victim {
  readonly #client: Client;
  #group: Group | undefined;
  #cursor = 0;

  private constructor(client: Client) {
    this.#client = client;
  }

  static async open(): Promise<Victim> {
    const options = {
      storage: await fileStorage(directory, { dangerouslyUnencrypted: true }),
      authenticationService: new EverybodyIsGenuine(),
    };
    let client: Client;
    try {
      client = await Client.open(options);
    } catch (error) {
      if (!MlsError.is(error, "SIGNER_NOT_FOUND")) throw error;
      client = await Client.create({ ...options, identity: "victim" });
    }
    const victim = new Victim(client);
    const groups = await client.groups();
    if (groups.length > 1) throw new Error("there is more than one group");
    victim.#group = groups[0];
    await client.transaction(async (transaction) => {
      const bytes = await transaction.checkpoint();
      victim.#cursor = bytes === undefined ? 0 : Buffer.from(bytes).readUInt32BE();
    });
    return victim;
  }

  report(): Report {
    const status = this.#group?.status ?? "none";
    const hasSecrets = status === "active" || status === "pendingCommit";
    return {
      signatureKey: this.#client.identity.signatureKey,
      status,
      epoch: this.#group?.epoch ?? 0n,
      cursor: this.#cursor,
      authenticator: hasSecrets ? this.#group?.epochAuthenticator : undefined,
    };
  }

  /** Finishes what the last run had begun. */
  async recover(): Promise<void> {
    if (this.#group?.status === "pendingCommit") await this.#submit(this.#group);
    if (this.#group?.status === "pendingJoin") await this.#submitJoin(this.#group);
    await this.#flush();
  }

  async step(): Promise<void> {
    const group = this.#group;
    if (group === undefined || group.status === "inactive") return this.#askForInvitation();
    const dice = random();
    if (dice < 0.3) return this.#send(group);
    if (dice < 0.5) return this.catchUp();
    await this.catchUp();
    if (group.status !== "active") return;
    if (dice < 0.6) tell({ type: "message", bytes: (await group.proposeUpdate()).bytes });
    else if (dice < 0.7) await this.#rejoin();
    else await this.commit();
    tell({ type: "done", report: this.report() });
  }

  async #send(group: Group): Promise<void> {
    try {
      const count = random() < 0.3 ? 3 : 1;
      const texts = Array.from({ length: count }, (_, i) => `from the victim, ${seed}/${i}`);
      for (const { bytes } of await Promise.all(texts.map((text) => group.send(text)))) {
        tell({ type: "message", bytes });
      }
    } catch (error) {
      if (!MlsError.is(error, "COMMIT_REQUIRED")) throw error;
      await this.commit();
    }
    tell({ type: "done", report: this.report() });
  }

  /** Adds a guest, removes one, or renews our keys. */
  async commit(): Promise<void> {
    const group = this.#group;
    if (group?.status !== "active") return;
    if (random() < 0.2) {
      // Refused for good, and made again: it must not be encrypted with the same key.
      tell({ type: "refused", bytes: (await group.update()).commit });
      await group.discardCommit();
    }
    const guests = group.findMembers({ identity: "guest" }).map(({ leafIndex }) => leafIndex);
    if (random() < 0.3) await group.update();
    else if (guests.length > 0) await group.remove(guests);
    else {
      const { bytes } = await ask((id) => ({ type: "keyPackage", id }));
      if (bytes !== undefined) await group.add([bytes]);
    }
    await this.#submit(group);
  }

  async #submit(group: Group): Promise<void> {
    const { pendingCommit } = group;
    if (pendingCommit === undefined) return;
    const { commit: bytes, epoch } = pendingCommit;
    const reply = await ask((id) => ({ type: "commit", id, epoch: epoch - 1n, bytes }));
    if (reply.isAccepted !== true) {
      await this.catchUp();
      if (group.status === "pendingCommit") throw new Error("the winner did not arrive");
      return;
    }
    await this.#client.transaction(async (transaction) => {
      const { welcomes } = await (await transaction.group(group.id)).acceptCommit();
      for (const welcome of welcomes) transaction.put("outbox", welcome.bytes);
    });
    await this.#flush();
  }

  /** Welcomes, until the delivery service has them. */
  async #flush(): Promise<void> {
    const bytes = await this.#client.transaction((transaction) => transaction.get("outbox"));
    if (bytes === undefined) return;
    await ask((id) => ({ type: "welcome", id, bytes }));
    await this.#client.transaction(async (transaction) => transaction.delete("outbox"));
  }

  async #rejoin(): Promise<void> {
    const { bytes } = await ask((id) => ({ type: "groupInfo", id }));
    if (bytes === undefined) return;
    try {
      const { group } = await this.#client.joinExternally(bytes, { resync: true });
      this.#group = group;
      await this.#submitJoin(group);
    } catch (error) {
      // We were removed meanwhile.
      if (!MlsError.is(error, "MEMBER_NOT_FOUND")) throw error;
    }
  }

  async #submitJoin(group: Group): Promise<void> {
    const bytes = group.joinCommit;
    if (bytes === undefined) throw new Error("the external commit is gone");
    const epoch = group.epoch - 1n;
    const reply = await ask((id) => ({ type: "commit", id, epoch, bytes }));
    const { id } = group;
    if (reply.isAccepted === true) await this.#client.acceptJoin(id);
    else await this.#client.rejectJoin(id);
    this.#group = await this.#client.group(id);
  }

  async #askForInvitation(): Promise<void> {
    await this.catchUp();
    if (this.#group !== undefined && this.#group.status !== "inactive") return;
    const { bytes } = await this.#client.createKeyPackage();
    await ask((id) => ({ type: "invite", id, keyPackage: bytes }));
    await this.catchUp();
  }

  async catchUp(): Promise<void> {
    const { entries = [] } = await ask((id) => ({ type: "poll", id, cursor: this.#cursor }));
    for (const entry of entries) {
      if (entry.kind === "welcome") await this.#join(entry);
      else await this.#receive(entry);
      tell({ type: "done", report: this.report() });
    }
  }

  async #join({ bytes, index }: Entry): Promise<void> {
    // A run that was killed may have joined, and not have noted it.
    if (this.#group === undefined || this.#group.status === "inactive") {
      this.#group = await this.#client.join(bytes);
    }
    const cursor = index + 1;
    await this.#client.transaction(async (transaction) => {
      transaction.setCheckpoint(encodeCursor(cursor));
    });
    this.#cursor = cursor;
  }

  /** The state, the note that it was read and the place in the log are written together. */
  async #receive({ bytes, index }: Entry): Promise<void> {
    const cursor = Math.max(this.#cursor, index + 1);
    const group = this.#group;
    await this.#client.transaction(async (transaction) => {
      transaction.setCheckpoint(encodeCursor(cursor));
      if (group === undefined) return;
      const inside = await transaction.group(group.id);
      const outcome = await inside.process(bytes, { accept: true });
      switch (outcome.kind) {
        case "application": {
          const key = `read/${index}`;
          if ((await transaction.get(key)) !== undefined) throw new Error("a replay was accepted");
          transaction.put(key, new Uint8Array(1));
          break;
        }
        case "ownCommit":
          for (const welcome of outcome.welcomes) transaction.put("outbox", welcome.bytes);
          break;
        case "invalid":
        case "invalidProposal":
          throw outcome.error;
        case "future":
        case "farFuture":
        case "missingProposal":
        case "generationTooFar":
          throw new Error(`entry ${index} is ${outcome.kind}`);
        default:
          break;
      }
    });
    this.#cursor = cursor;
  }
}

function encodeCursor(cursor: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, cursor);
  return bytes;
}

try {
  await go;
  const victim = await Victim.open();
  tell({ type: "hello", report: victim.report() });
  await victim.recover();
  tell({ type: "done", report: victim.report() });
  while (mode !== "finish") await victim.step();
  while (!["active", "none"].includes(victim.report().status)) await victim.step();
  await victim.catchUp();
  await victim.commit();
  await victim.catchUp();
  tell({ type: "finished", report: victim.report() });
} catch (error) {
  tell({ type: "failed", reason: error instanceof Error ? String(error.stack) : String(error) });
} finally {
  process.disconnect?.();
}
