//! Measures OpenMLS by the protocol of ../README.md. The argument names the provider.

mod member;

use std::collections::BTreeMap;
use std::io::{BufRead, Write, stdin, stdout};
use std::time::Instant;

use base64::{Engine, prelude::BASE64_STANDARD};
use member::{Invitation, Member, Outcome, Peer, create, invite, join, join_externally, provider_of};
use openmls::prelude::Ciphersuite;
use serde_json::{Value, json};

const GROUPS: [&str; 8] =
    ["add", "join", "commit", "message", "membership", "update", "externalJoin", "storage"];

struct Fixture<P: Peer> {
    suite: Ciphersuite,
    size: usize,
    sender: Option<Member<P>>,
    receiver: Option<Member<P>>,
    creator: Option<Invitation<P>>,
    own: Option<Invitation<P>>,
    guests: Vec<Invitation<P>>,
    added: Vec<Vec<u8>>,
    welcome: Vec<u8>,
}

#[derive(Default)]
struct Measured {
    samples: BTreeMap<String, Vec<f64>>,
    bytes: BTreeMap<String, usize>,
}

impl Measured {
    fn add(&mut self, operation: &str, start: Instant) {
        let elapsed = start.elapsed().as_nanos() as f64 / 1000.0;
        self.samples.entry(operation.into()).or_default().push(elapsed);
    }
}

fn main() {
    let name = std::env::args().nth(1).unwrap_or_default();
    if name == "libcrux" {
        serve::<openmls_libcrux_crypto::Provider>(&name, &[1, 3]);
    } else {
        serve::<openmls_rust_crypto::OpenMlsRustCrypto>("RustCrypto", &[1, 2, 3]);
    }
}

fn serve<P: Peer>(name: &str, suites: &[u16]) {
    let threads = std::env::var("RAYON_NUM_THREADS").unwrap_or("default".into());
    let hello = json!({
        "library": "OpenMLS",
        "version": version(),
        "runtime": format!("{}, {name}, MemoryStorage, {threads} threads", env!("COMPILER")),
        "suites": suites,
        "groups": GROUPS,
    });
    let mut fixture = Fixture::<P>::new(Ciphersuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519, 2);
    for line in stdin().lock().lines() {
        let Ok(line) = line else { return };
        let answer = serde_json::from_str(&line)
            .map_err(Into::into)
            .and_then(|request| fixture.answer(&request, &hello))
            .unwrap_or_else(|error| json!({ "error": error.to_string() }));
        let mut out = stdout().lock();
        if writeln!(out, "{answer}").and_then(|()| out.flush()).is_err() {
            return;
        }
    }
}

/// Of OpenMLS, as it was built.
fn version() -> &'static str {
    let lock = include_str!("../Cargo.lock");
    let found = lock.split_once("name = \"openmls\"\nversion = \"");
    found.and_then(|(_, rest)| rest.split('"').next()).unwrap_or("unknown")
}

impl<P: Peer> Fixture<P> {
    fn new(suite: Ciphersuite, size: usize) -> Self {
        Fixture {
            suite,
            size,
            sender: None,
            receiver: None,
            creator: None,
            own: None,
            guests: Vec::new(),
            added: Vec::new(),
            welcome: Vec::new(),
        }
    }

    fn answer(&mut self, request: &Value, hello: &Value) -> Outcome<Value> {
        let number = |name: &str| request[name].as_u64().unwrap_or_default();
        let suite = || Ciphersuite::try_from(number("suite") as u16);
        match request["do"].as_str().unwrap_or_default() {
            "hello" => Ok(hello.clone()),
            "cold" => {
                *self = Fixture::new(suite()?, number("size") as usize);
                self.cold()?;
                Ok(json!({ "ok": true }))
            }
            "guests" => {
                *self = Fixture::new(suite()?, number("size") as usize);
                self.guests = vec![invite(self.suite, "guest 1")?, invite(self.suite, "guest 2")?];
                let key_packages: Vec<String> =
                    self.guests.iter().map(|guest| BASE64_STANDARD.encode(&guest.key_package)).collect();
                Ok(json!({ "keyPackages": key_packages }))
            }
            "warm" => {
                self.welcome = BASE64_STANDARD.decode(request["welcome"].as_str().unwrap_or_default())?;
                self.warm()?;
                Ok(json!({ "ok": true }))
            }
            "run" => {
                let mut measured = Measured::default();
                for _ in 0..number("count") {
                    self.run(request["group"].as_str().unwrap_or_default(), &mut measured)?;
                }
                Ok(json!({ "samples": measured.samples, "bytes": measured.bytes }))
            }
            other => Err(format!("unknown request {other}").into()),
        }
    }

    fn cold(&mut self) -> Outcome<()> {
        let creator = invite(self.suite, "creator")?;
        for i in 1..self.size {
            let own: Invitation<P> = invite(self.suite, &format!("member {i}"))?;
            self.added.push(own.key_package.clone());
            self.own = Some(own);
        }
        let mut sender = create(self.suite, &creator)?;
        self.welcome = sender.commit(&self.added, &[])?.1.ok_or("no Welcome")?;
        let own = self.own.as_ref().ok_or("nobody was added")?;
        self.receiver = Some(join(self.suite, provider_of(own), &own.signer, &self.welcome)?);
        self.sender = Some(sender);
        self.creator = Some(creator);
        self.agree()
    }

    fn warm(&mut self) -> Outcome<()> {
        let second = self.guests.pop().ok_or("no guests")?;
        let first = self.guests.pop().ok_or("no guests")?;
        let mut sender = join(self.suite, provider_of(&first), &first.signer, &self.welcome)?;
        let mut receiver = join(self.suite, provider_of(&second), &second.signer, &self.welcome)?;
        receiver.process(&sender.commit(&[], &[])?.0)?;
        sender.process(&receiver.commit(&[], &[])?.0)?;
        self.own = Some(second);
        self.sender = Some(sender);
        self.receiver = Some(receiver);
        self.agree()
    }

    fn members(&mut self) -> Outcome<(&mut Member<P>, &mut Member<P>)> {
        match (&mut self.sender, &mut self.receiver) {
            (Some(sender), Some(receiver)) => Ok((sender, receiver)),
            _ => Err("there is no group".into()),
        }
    }

    fn agree(&mut self) -> Outcome<()> {
        let (sender, receiver) = self.members()?;
        if sender.group.epoch_authenticator().as_slice() == receiver.group.epoch_authenticator().as_slice() {
            return Ok(());
        }
        Err("the members are not in the same epoch".into())
    }

    fn run(&mut self, group: &str, measured: &mut Measured) -> Outcome<()> {
        match group {
            "add" => {
                let creator = self.creator.as_ref().ok_or("only on a cold tree")?;
                let start = Instant::now();
                let (commit, welcome) = create(self.suite, creator)?.commit(&self.added, &[])?;
                measured.add("add", start);
                let length = commit.len() + welcome.map_or(0, |bytes| bytes.len());
                measured.bytes.insert("add".into(), length);
                Ok(())
            }
            "join" => {
                let own = self.own.as_ref().ok_or("there is no group")?;
                let provider = provider_of(own);
                let start = Instant::now();
                join(self.suite, provider, &own.signer, &self.welcome)?;
                measured.add("join", start);
                measured.bytes.insert("join".into(), self.welcome.len());
                Ok(())
            }
            "commit" => self.commit_and_process(measured, "commit", &[], &[]),
            "message" => self.message(measured),
            "membership" => {
                let guest: Invitation<P> = invite(self.suite, "guest")?;
                self.commit_and_process(measured, "addOne", &[guest.key_package], &[])?;
                self.commit_and_process(measured, "removeOne", &[], &[self.size as u32])
            }
            "update" => self.update(measured),
            "storage" => {
                let receiver = self.members()?.1;
                let start = Instant::now();
                let loaded = receiver.load()?;
                measured.add("load", start);
                measured.bytes.insert("load".into(), receiver.stored_bytes());
                if loaded.epoch_authenticator().as_slice() != receiver.group.epoch_authenticator().as_slice() {
                    return Err("another group was loaded".into());
                }
                Ok(())
            }
            "externalJoin" => {
                let outsider: Invitation<P> = invite(self.suite, "outsider")?;
                let provider = P::default();
                let suite = self.suite;
                let info = self.members()?.0.group_info()?;
                let start = Instant::now();
                let commit = join_externally(suite, &outsider, &provider, &info)?;
                measured.add("externalJoin", start);
                measured.bytes.insert("externalJoin".into(), commit.len());
                Ok(())
            }
            other => Err(format!("unknown group {other}").into()),
        }
    }

    fn commit_and_process(
        &mut self,
        measured: &mut Measured,
        name: &str,
        add: &[Vec<u8>],
        remove: &[u32],
    ) -> Outcome<()> {
        let (sender, receiver) = self.members()?;
        let start = Instant::now();
        let (commit, welcome) = sender.commit(add, remove)?;
        measured.add(name, start);
        let length = commit.len() + welcome.map_or(0, |bytes| bytes.len());
        measured.bytes.insert(name.into(), length);
        let start = Instant::now();
        receiver.process(&commit)?;
        let receiver_operation = match name {
            "addOne" => "processAdd",
            "removeOne" => "processRemove",
            _ => "process",
        };
        measured.add(receiver_operation, start);
        self.agree()
    }

    fn update(&mut self, measured: &mut Measured) -> Outcome<()> {
        let (sender, receiver) = self.members()?;
        let start = Instant::now();
        let proposal = receiver.propose_update()?;
        measured.add("propose", start);
        measured.bytes.insert("propose".into(), proposal.len());
        let start = Instant::now();
        sender.process(&proposal)?;
        let (commit, _) = sender.commit(&[], &[])?;
        measured.add("update", start);
        measured.bytes.insert("update".into(), commit.len());
        let start = Instant::now();
        receiver.process(&commit)?;
        measured.add("processUpdate", start);
        self.agree()
    }

    fn message(&mut self, measured: &mut Measured) -> Outcome<()> {
        let payload: Vec<u8> = (0..1024u32).map(|i| (i * 7) as u8).collect();
        let (sender, receiver) = self.members()?;
        let start = Instant::now();
        let message = sender.send(&payload)?;
        measured.add("send", start);
        measured.bytes.insert("send".into(), message.len());
        let start = Instant::now();
        let data = receiver.receive(&message)?;
        measured.add("receive", start);
        if data == payload { Ok(()) } else { Err("another plaintext was received".into()) }
    }
}
