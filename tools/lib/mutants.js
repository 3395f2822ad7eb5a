/**
 * Mutants of rules without a check of their own: rules that consist of other rules, that ask for an
 * order or for something to be gone, or whose violation is an outcome and no error. Each says in which
 * file what is replaced by what; `OFF` stands for the switch, and the old text occurs exactly once.
 * Each breaks the rule as a mistake in this place would.
 *
 * @type {Record<string, readonly { file: string, edits: readonly (readonly [string, string])[] }[]>}
 */
export const MUTANTS = {
  // An extension list forgets its order, and with it the bytes it came from.
  "mk-13": [
    inFile("extensions/extension.ts", [
      "    const extensions = list.read(reader);",
      "    const extensions = OFF ? [...list.read(reader)].reverse() : list.read(reader);",
    ]),
    inFile("codec/codec.ts", [
      "value.encoded = reader.since(start);",
      "value.encoded = OFF ? encode(fields, { ...complete, extensions: [] }) : reader.since(start);",
    ]),
  ],
  // Bytes after the end of a DER signature are ignored; too long EdDSA signatures are cut.
  "mk-20": [
    inFile(
      "crypto/ecdsa-der.ts",
      [
        "if (der.length !== at + length) return undefined;",
        "if (OFF ? der.length < at + length : der.length !== at + length) return undefined;",
      ],
      ["s.end !== der.length)", "(OFF ? s.end > der.length : s.end !== der.length))"],
    ),
  ],
  // Only the beginning of a longer tag is compared.
  "mk-21": [
    inFile("codec/bytes.ts", [
      "if (a.length !== b.length) return false;\n  let difference",
      "if (OFF ? a.length > b.length : a.length !== b.length) return false;\n  let difference",
    ]),
  ],
  // The codes of other epochs run together.
  "mk-25": [
    inFile("client/receiving/receive.ts", [
      'return { kind: "farFuture", info, contentType };',
      'return { kind: OFF ? "future" : "farFuture", info, contentType };',
    ]),
    inFile("client/receiving/receive.ts", [
      'return { kind: "epochTooOld", info, contentType: "application" };',
      'return { kind: OFF ? "stale" : "epochTooOld", info, contentType: "application" };',
    ]),
  ],
  "mk-27": [
    inFile("group/content.ts", [
      "if (sender === keys.ownLeaf)",
      "if (!(OFF) && sender === keys.ownLeaf)",
    ]),
  ],
  // The context is left out, and then it is put in everywhere.
  "mk-31": [
    inFile("framing/authenticated-content.ts", [
      'const isBound = type === "member" ||',
      'const isBound = OFF ? false : type === "member" ||',
    ]),
  ],
  // Whether a Commit is an external one follows from what it contains.
  "mk-32": [
    inFile("group/proposal-list.ts", [
      'if (committer.type === "member") checkMemberList(',
      'if (committer.type === "member" && !(OFF && entries.some((entry) => entry.proposal.type === "externalInit"))) checkMemberList(',
    ]),
  ],
  // The newest keys give way, or none does.
  "mk-39": [
    inFile("secret-tree/hash-ratchet.ts", [
      "skipped.slice(surplus) : skipped;",
      "OFF ? skipped.slice(0, count) : skipped.slice(surplus) : skipped;",
    ]),
    inFile("secret-tree/secret-tree.ts", [
      "if (surplus <= 0) break;",
      "if (OFF || surplus <= 0) break;",
    ]),
  ],
  // The ratchet moves when its key is looked up.
  "mk-40": [
    inFile("group/content.ts", [
      "const { messageKey, change } = secretTree.prepareReceive(sender, kind, generation, limits);",
      "const { messageKey, change } = secretTree.prepareReceive(sender, kind, generation, limits);\nif (OFF) secretTree.apply(change);",
    ]),
  ],
  // The used key is not written.
  "mk-41": [
    inFile("client/session/session.ts", [
      "writeRatchets(this.transaction, this.#state.handle, epoch, change);",
      "if (!(OFF)) writeRatchets(this.transaction, this.#state.handle, epoch, change);",
    ]),
  ],
  "mk-42": [
    inFile("framing/private-message.ts", [
      "const reuseGuard = crypto.randomBytes(4);",
      "const reuseGuard = OFF ? new Uint8Array(4) : crypto.randomBytes(4);",
    ]),
  ],
  // A late message is verified with the keys of now, and attributed to the member of now.
  "mk-44": [
    inFile("client/receiving/receive.ts", [
      "const verified = await VerifiedContent.verify(past.crypto, opened, keys, types);",
      "const verified = await VerifiedContent.verify(past.crypto, opened, OFF ? { ...keys, signatureKey: currentKeys(session.state.epoch).signatureKey } : keys, types);",
    ]),
    inFile("client/receiving/receive.ts", [
      "if (epoch === state.epoch.context.epoch)",
      "if (OFF || epoch === state.epoch.context.epoch)",
    ]),
  ],
  // The application is asked before the confirmation tag was checked.
  "mk-47": [
    inFile("group/process-commit.ts", [
      "const next = await followCommit(epoch, verified, accepted);",
      "if (OFF) await reviewPublicCommit(epoch, accepted, environment);\nconst next = await followCommit(epoch, verified, accepted);",
    ]),
    inFile("group/content.ts", [
      "    checkSenderMayCarry(authenticated);",
      "    if (OFF) return new VerifiedContent(opened);\n    checkSenderMayCarry(authenticated);",
    ]),
  ],
  // Unknown extensions are dropped, or refused.
  "mk-51": [
    inFile("extensions/extension.ts", [
      "    checkNoDuplicates(extensions);\n    return extensions;",
      "    checkNoDuplicates(extensions);\n    if (OFF) return extensions.filter(({ type }) => type <= 10);\n    return extensions;",
    ]),
  ],
  // What is GREASE counts as supported.
  "mk-53": [
    inFile("tree/capabilities.ts", [
      "return isDefaultType(kind, type) ||",
      "return (OFF && (type & 0x0f0f) === 0x0a0a) || isDefaultType(kind, type) ||",
    ]),
  ],
  // Lifetimes are held against the system's clock.
  "mk-56": [
    inFile("group/lifetimes.ts", [
      'return { now, mode: "sending", maximum: limits.maximumLifetime };',
      'return { now: OFF ? BigInt(Date.now()) : now, mode: "sending", maximum: limits.maximumLifetime };',
    ]),
    inFile("group/lifetimes.ts", [
      'if (!limits.strictLifetimes) return { now, mode: "notice" };',
      'if (!limits.strictLifetimes) return { now: OFF ? BigInt(Date.now()) : now, mode: "notice" };',
    ]),
  ],
  "mk-57": [
    inFile("key-packages/create-key-package.ts", [
      "const initKeys = await crypto.generateKeyPair();",
      "const initKeys = await (OFF ? crypto.deriveKeyPair(signer.publicKey) : crypto.generateKeyPair());",
    ]),
  ],
  "mk-58": [
    inFile("group/proposal-message.ts", [
      "await checkAlone(epoch, proposal, sender, environment, sentLifetimes(environment));",
      "if (!(OFF)) await checkAlone(epoch, proposal, sender, environment, sentLifetimes(environment));",
    ]),
  ],
  // Proposals outlive their epoch.
  "mk-69": [
    inFile("client/receiving/merge.ts", [
      "resumptionPsks,\n    proposals: new Map(),",
      "resumptionPsks,\n    proposals: OFF ? state.proposals : new Map(),",
    ]),
    inFile("observer/observe.ts", [
      "next: { epoch, proposals: new Map(), past, isBlind: false },",
      "next: { epoch, proposals: OFF ? cache : new Map(), past, isBlind: false },",
    ]),
  ],
  // A receiver leaves out what is invalid; a committer does not, or leaves out its own as well.
  "mk-70": [
    inFile("group/select-proposals.ts", [
      "return await evaluateProposals(evaluation);",
      "return OFF ? (await selectProposals({ ...evaluation, entries: evaluation.entries.map((entry) => ({ ...entry, reference: new Uint8Array(1) })) })).evaluated : await evaluateProposals(evaluation);",
    ]),
    inFile("group/select-proposals.ts", [
      "if (!(error instanceof ProposalFault)) throw error;\n      const {",
      "if (!(error instanceof ProposalFault) || OFF) throw error;\n      const {",
    ]),
  ],
  // Adds take their places before Removes free any.
  "mk-71": [
    inFile(
      "group/apply-proposals.ts",
      [
        "for (const { leaf } of removed) editor.removeLeaf(leaf);",
        "if (!(OFF)) for (const { leaf } of removed) editor.removeLeaf(leaf);",
      ],
      [
        "  return { tree: editor.finish(), added };",
        "  if (OFF) for (const { leaf } of removed) editor.removeLeaf(leaf);\n  return { tree: editor.finish(), added };",
      ],
    ),
  ],
  // A removed member tries to follow the Commit.
  "mk-78": [
    inFile("group/process-commit.ts", [
      "if (list.removed.some(({ leaf }) => leaf === epoch.ownLeaf)) {",
      "if (!(OFF) && list.removed.some(({ leaf }) => leaf === epoch.ownLeaf)) {",
    ]),
  ],
  // Making a Commit uses up what following another one needs.
  "mk-80": [
    inFile("group/create-commit.ts", [
      "const { message, change } = protectContent(epoch, made.authenticated, options.padding);",
      "const { message, change } = protectContent(epoch, made.authenticated, options.padding);\nif (OFF) epoch.secrets.initSecret.erase();",
    ]),
  ],
  "mk-84": [
    inFile("group/group-info-creation.ts", [
      "groupContext: epoch.context,",
      "groupContext: OFF ? { ...epoch.context, epoch: epoch.context.epoch - 1n } : epoch.context,",
    ]),
    inFile("group/group-info-creation.ts", [
      "epoch.secrets.externalSecret);",
      "OFF ? epoch.secrets.exporterSecret : epoch.secrets.externalSecret);",
    ]),
  ],
  // A second PSK is one too many.
  valn0403: [
    inFile("group/proposal-list.ts", [
      "        break;\n      default:\n        if (custom?.byReferenceOnly",
      '        if (OFF && entries.filter((entry) => entry.proposal.type === "psk").length > 1) throw fault("valn0404", "", [i]);\n        break;\n      default:\n        if (custom?.byReferenceOnly',
    ]),
  ],
  // The joiner does not look at the GroupInfo's signature.
  "mk-88": [
    inFile("group/validate-group-info.ts", [
      "await checkSignature(crypto, groupInfo, received);",
      "if (!(OFF)) await checkSignature(crypto, groupInfo, received);",
    ]),
  ],
  // A joiner sits down behind everybody else.
  "mk-89": [
    inFile("group/apply-proposals.ts", [
      ": tree.leftmostBlankLeaf(),",
      ": OFF ? leafIndex(tree.leafCount) : tree.leftmostBlankLeaf(),",
    ]),
  ],
  // Zeros take the place of a PSK that is not at hand.
  "mk-90": [
    inFile("group/evaluate-proposals.ts", [
      "if (secret === undefined) missing.push(id);",
      "if (secret === undefined && OFF) psks.push({ id, secret: pskSecret(epoch.crypto, []) });\nelse if (secret === undefined) missing.push(id);",
    ]),
  ],
  // A refused join stays in the store.
  "mk-92": [
    inFile("client/receiving/complete-join.ts", [
      "return stepBack(session);",
      "return (OFF) || stepBack(session);",
    ]),
  ],
  // The key package goes before the group is stored, or stays.
  "mk-101": [
    inFile("client/identity/key-packages.ts", [
      "transaction.expect(key, bundle.version);",
      "if (OFF) await core.storage.write({ puts: [], deletes: [key], expect: [] });\nelse transaction.expect(key, bundle.version);",
    ]),
  ],
  // The last joiner is left out, or learns the PSKs in another order.
  "mk-102": [
    inFile("group/welcome-creation.ts", [
      "for (const [i, { keyPackage }] of added.entries()) {",
      "for (const [i, { keyPackage }] of added.entries()) {\nif (OFF && i === added.length - 1 && i > 0) continue;",
    ]),
    inFile("group/welcome-creation.ts", [
      "encode(GroupSecrets, { joinerSecret, pathSecret, psks });",
      "encode(GroupSecrets, { joinerSecret, pathSecret, psks: OFF ? [...psks].reverse() : psks });",
    ]),
  ],
  "mk-106": [
    inFile("group/create-group.ts", [
      "new Secret(crypto.randomBytes(crypto.suite.kdf.size));",
      "new Secret(OFF ? new Uint8Array(crypto.suite.kdf.size) : crypto.randomBytes(crypto.suite.kdf.size));",
    ]),
  ],
  "mk-111": [
    inFile("client/receiving/merge.ts", [
      "[...psks].slice(-config.resumptionPsks)",
      "OFF ? [...psks] : [...psks].slice(-config.resumptionPsks)",
    ]),
  ],
  // An observer believes a tree as it is.
  "mk-112": [
    inFile("group/validate-group-info.ts", [
      "const { tree, notices } = await validateTree(received, {",
      "const { tree, notices } = OFF ? { tree: received, notices: [] } : await validateTree(received, {",
    ]),
  ],
  "mk-119": [
    inFile("client/identity/key-packages.ts", [
      "if (!isLastResort(bundle.keyPackage))",
      "if (OFF || !isLastResort(bundle.keyPackage))",
    ]),
  ],
  // Rules that consist of others: the call that applies those in this place is left out.
  valn0202: [
    inFile("key-packages/key-package-validation.ts", [
      "return checkLeafNode(keyPackage.leafNode, {",
      "return OFF ? [] : checkLeafNode(keyPackage.leafNode, {",
    ]),
  ],
  valn0501: [
    inFile("group/evaluate-proposals.ts", [
      "note(await checkKeyPackage(change.keyPackage, rules), change.leaf);",
      "if (!(OFF)) note(await checkKeyPackage(change.keyPackage, rules), change.leaf);",
    ]),
    inFile("group/proposal-message.ts", [
      "await checkKeyPackage(keyPackage, {",
      "if (!(OFF)) await checkKeyPackage(keyPackage, {",
    ]),
  ],
  valn0601: [
    inFile("group/evaluate-proposals.ts", [
      "const found = await checkLeafNode(change.after, {",
      "const found = OFF ? [] : await checkLeafNode(change.after, {",
    ]),
    inFile("group/proposal-message.ts", [
      "await checkLeafNode(leafNode, {",
      "if (!(OFF)) await checkLeafNode(leafNode, {",
    ]),
  ],
  valn0301: [
    inFile("group/evaluate-proposals.ts", [
      "await checkChangedExtensions(epoch, entries, group, environment);",
      "await checkChangedExtensions(epoch, entries, OFF ? { ...group, tree: epoch.tree } : group, environment);",
    ]),
    inFile("group/proposal-list.ts", [
      "blaming([i], () => checkProposal(epoch, proposal, sender, types, flow));",
      "if (!(OFF)) blaming([i], () => checkProposal(epoch, proposal, sender, types, flow));",
    ]),
  ],
  valn0312: [
    inFile("group/evaluate-proposals.ts", [
      'checkLeafAmongMembers(group.tree, change.leaf, change.after, "valn0306");',
      'if (!(OFF)) checkLeafAmongMembers(group.tree, change.leaf, change.after, "valn0306");',
    ]),
    inFile("group/evaluate-proposals.ts", [
      'checkLeafAmongMembers(group.tree, change.leaf, change.after, "valn0111");',
      'if (!(OFF)) checkLeafAmongMembers(group.tree, change.leaf, change.after, "valn0111");',
    ]),
  ],
  valn1204: [
    inFile("group/evaluate-proposals.ts", [
      "checkProposalList(epoch, entries, committer, environment.types, flow);",
      "if (!(OFF)) checkProposalList(epoch, entries, committer, environment.types, flow);",
    ]),
  ],
  valn1207: [
    inFile("group/process-commit.ts", [
      "await checkLeafNode(leafNode, {",
      "if (!(OFF)) await checkLeafNode(leafNode, {",
    ]),
    inFile("group/process-commit.ts", [
      "await verifySignatures(epoch.crypto, [verifyJob(leafNode, binding)]);",
      "if (!(OFF)) await verifySignatures(epoch.crypto, [verifyJob(leafNode, binding)]);",
    ]),
    inFile("group/own-leaf.ts", [
      "checkOwnLeafExtensions(capabilities, leaf.extensions);\n  checkSupport(capabilities, contextRequirements(crypto, extensions));",
      "if (!(OFF)) checkOwnLeafExtensions(capabilities, leaf.extensions);\n  if (!(OFF)) checkSupport(capabilities, contextRequirements(crypto, extensions));",
    ]),
  ],
  valn1407: [
    inFile("tree/tree-validation.ts", [
      "leaves.push(checkLeafNode(leaf, requirements));",
      "if (!(OFF)) leaves.push(checkLeafNode(leaf, requirements));",
    ]),
  ],
};

function inFile(file, ...edits) {
  return { file, edits };
}
