/**
 * OpenMLS compiled to WebAssembly, by the bindings that mls-ts carries: synchronous, one suite, the
 * state in the module's memory. Every Commit adds somebody, by a proposal before it.
 */
import { readFileSync } from "node:fs";
import { check, PAYLOAD, serve } from "./serve.js";

// Imported as a value: the bindings exist only once the module is instantiated.
const { raw } = await import("mls-ts");
const { Group, Identity, Provider, RatchetTree } = raw;

let guests = [];
let welcome;
let tree;
let sender;
let receiver;

function invite(name) {
  const provider = new Provider();
  const identity = new Identity(provider, name);
  const keyPackage = identity.key_package(provider);
  return {
    provider,
    identity,
    keyPackage,
    bytes: keyPackage.to_bytes(),
    stored: provider.serialize(),
  };
}

/** A Welcome is good for one join: each begins with what the provider held before. */
function join({ stored }) {
  const provider = Provider.from_bytes(stored);
  return { provider, group: Group.join(provider, welcome, RatchetTree.from_bytes(tree)) };
}

/** Warm groups come from mlskit, under this id too. */
const GROUP_ID = "benchmark";

const KEY_PACKAGE = Uint8Array.of(0, 1, 0, 5);

const manifest = new URL("node_modules/mls-ts/package.json", import.meta.url);
await serve(
  {
    library: "OpenMLS-WASM (mls-ts)",
    version: `mls-ts ${JSON.parse(readFileSync(manifest, "utf8")).version}`,
    runtime: `Node ${process.versions.node}, WebAssembly, in memory`,
    suites: [3],
    treeBeside: true,
  },
  {
    async cold(_suite, size) {
      const creator = invite("creator");
      const group = Group.create_new(creator.provider, creator.identity, GROUP_ID);
      let last;
      let added;
      for (let i = 1; i < size; i++) {
        last = invite(`member ${i}`);
        added = group.propose_and_commit_add(creator.provider, creator.identity, last.keyPackage);
        group.merge_pending_commit(creator.provider);
      }
      welcome = added.welcome;
      tree = group.export_ratchet_tree().to_bytes();
      guests = [creator, last];
      sender = { provider: creator.provider, group };
      receiver = join(last);
    },
    async guests() {
      guests = [invite("guest 1"), invite("guest 2")];
      return guests.map(({ bytes }) => Buffer.concat([KEY_PACKAGE, bytes]));
    },
    async warm(message, nodes) {
      welcome = message;
      tree = nodes;
      [sender, receiver] = guests.map(join);
    },
    runs: {
      async join(time, bytes) {
        const { stored } = guests[1];
        const provider = Provider.from_bytes(stored);
        await time("join", async () => Group.join(provider, welcome, RatchetTree.from_bytes(tree)));
        bytes("join", welcome.length + tree.length);
      },
      /** Nobody can be removed again, so each time begins from the state before. */
      async bareAdd(time, bytes) {
        const [from, to] = [sender, receiver].map(({ provider }) => {
          const copy = Provider.from_bytes(provider.serialize());
          return { provider: copy, group: Group.load(copy, GROUP_ID) };
        });
        const { keyPackage } = invite("guest");
        const added = await time("addBare", async () => {
          const { identity } = guests[0];
          const made = from.group.propose_and_commit_add(from.provider, identity, keyPackage);
          from.group.merge_pending_commit(from.provider);
          return { proposal: made.proposal, commit: made.commit, welcome: made.welcome };
        });
        await time("processAddBare", async () => {
          to.group.process_message(to.provider, added.proposal);
          to.group.process_message(to.provider, added.commit);
        });
        bytes("addBare", added.proposal.length + added.commit.length + added.welcome.length);
        const message = from.group.create_message(from.provider, guests[0].identity, PAYLOAD);
        const data = to.group.process_message(to.provider, message);
        check(Buffer.compare(data, PAYLOAD) === 0, "the members are not in the same epoch");
      },
      async message(time, bytes) {
        const { identity } = guests[0];
        const message = await time("send", async () =>
          sender.group.create_message(sender.provider, identity, PAYLOAD),
        );
        const data = await time("receive", async () =>
          receiver.group.process_message(receiver.provider, message),
        );
        bytes("send", message.length);
        check(Buffer.compare(data, PAYLOAD) === 0, "another plaintext was received");
      },
    },
  },
);
