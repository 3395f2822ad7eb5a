//! A member of an OpenMLS group with a provider of its own. Bytes in, bytes out.

use std::collections::HashMap;
use std::error::Error;
use std::marker::PhantomData;

use openmls::prelude::tls_codec::{DeserializeBytes as _, Serialize as _};
use openmls::prelude::*;
use openmls_basic_credential::SignatureKeyPair;
use openmls_memory_storage::MemoryStorage;
use openmls_traits::OpenMlsProvider;

pub type Outcome<T> = Result<T, Box<dyn Error>>;

/// A provider on MemoryStorage, whose contents can be put back.
pub trait Peer: OpenMlsProvider<StorageProvider = MemoryStorage> + Default {
    fn snapshot(&self) -> HashMap<Vec<u8>, Vec<u8>> {
        self.storage().values.read().expect("lock").clone()
    }
    fn restore(&self, values: &HashMap<Vec<u8>, Vec<u8>>) {
        *self.storage().values.write().expect("lock") = values.clone();
    }
}

impl Peer for openmls_rust_crypto::OpenMlsRustCrypto {}
impl Peer for openmls_libcrux_crypto::Provider {}

pub struct Invitation<P: Peer> {
    pub signer: SignatureKeyPair,
    pub credential: CredentialWithKey,
    pub key_package: Vec<u8>,
    /// What the provider holds, private keys included.
    pub stored: HashMap<Vec<u8>, Vec<u8>>,
    provider: PhantomData<P>,
}

pub struct Member<P: Peer> {
    pub provider: P,
    pub signer: SignatureKeyPair,
    pub group: MlsGroup,
}

/// Handshake messages are public, application messages always private.
fn config(suite: Ciphersuite) -> MlsGroupCreateConfig {
    MlsGroupCreateConfig::builder()
        .ciphersuite(suite)
        .use_ratchet_tree_extension(true)
        .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
        .build()
}

pub fn invite<P: Peer>(suite: Ciphersuite, name: &str) -> Outcome<Invitation<P>> {
    let provider = P::default();
    let signer = SignatureKeyPair::new(suite.signature_algorithm())?;
    let credential = CredentialWithKey {
        credential: BasicCredential::new(name.as_bytes().to_vec()).into(),
        signature_key: signer.to_public_vec().into(),
    };
    let bundle = KeyPackage::builder().build(suite, &provider, &signer, credential.clone())?;
    let message = MlsMessageOut::from(bundle.key_package().clone());
    let key_package = message.tls_serialize_detached()?;
    let stored = provider.snapshot();
    Ok(Invitation { signer, credential, key_package, stored, provider: PhantomData })
}

pub fn create<P: Peer>(suite: Ciphersuite, own: &Invitation<P>) -> Outcome<Member<P>> {
    let provider = P::default();
    let group = MlsGroup::new(&provider, &own.signer, &config(suite), own.credential.clone())?;
    Ok(Member { provider, signer: own.signer.clone(), group })
}

/// A provider with what `own` has stored: joining uses up the key package.
pub fn provider_of<P: Peer>(own: &Invitation<P>) -> P {
    let provider = P::default();
    provider.restore(&own.stored);
    provider
}

pub fn join<P: Peer>(
    suite: Ciphersuite,
    provider: P,
    signer: &SignatureKeyPair,
    welcome: &[u8],
) -> Outcome<Member<P>> {
    let MlsMessageBodyIn::Welcome(welcome) = MlsMessageIn::tls_deserialize_exact_bytes(welcome)?.extract()
    else {
        return Err("not a Welcome".into());
    };
    let group = StagedWelcome::new_from_welcome(&provider, config(suite).join_config(), welcome, None)?
        .into_group(&provider)?;
    Ok(Member { provider, signer: signer.clone(), group })
}

/// The commit for the others.
pub fn join_externally<P: Peer>(
    suite: Ciphersuite,
    own: &Invitation<P>,
    provider: &P,
    group_info: &[u8],
) -> Outcome<Vec<u8>> {
    let MlsMessageBodyIn::GroupInfo(info) = MlsMessageIn::tls_deserialize_exact_bytes(group_info)?.extract()
    else {
        return Err("not a GroupInfo".into());
    };
    let (_, bundle) = MlsGroup::external_commit_builder()
        .with_config(config(suite).join_config().clone())
        .build_group(provider, info, own.credential.clone())?
        .load_psks(provider.storage())?
        .create_group_info(false)
        .build(provider.rand(), provider.crypto(), &own.signer, |_| true)?
        .finalize(provider)?;
    Ok(bundle.into_commit().to_bytes()?)
}

impl<P: Peer> Member<P> {
    /// Adds these key packages, removes these leaves, and merges. No GroupInfo beside the Welcome's.
    pub fn commit(&mut self, add: &[Vec<u8>], remove: &[u32]) -> Outcome<(Vec<u8>, Option<Vec<u8>>)> {
        let provider = &self.provider;
        let mut key_packages = Vec::with_capacity(add.len());
        for bytes in add {
            let MlsMessageBodyIn::KeyPackage(received) =
                MlsMessageIn::tls_deserialize_exact_bytes(bytes)?.extract()
            else {
                return Err("not a key package".into());
            };
            key_packages.push(received.validate(provider.crypto(), ProtocolVersion::Mls10)?);
        }
        let bundle = self
            .group
            .commit_builder()
            .force_self_update(true)
            .propose_adds(key_packages)
            .propose_removals(remove.iter().map(|leaf| LeafNodeIndex::new(*leaf)))
            .load_psks(provider.storage())?
            .create_group_info(false)
            .build(provider.rand(), provider.crypto(), &self.signer, |_| true)?
            .stage_commit(provider)?;
        let (commit, welcome, _) = bundle.into_messages();
        let commit = commit.to_bytes()?;
        let welcome = welcome.map(|message| message.to_bytes()).transpose()?;
        self.group.merge_pending_commit(provider)?;
        Ok((commit, welcome))
    }

    /// An Update proposal for our own leaf.
    pub fn propose_update(&mut self) -> Outcome<Vec<u8>> {
        let leaf = LeafNodeParameters::default();
        let (message, _) = self.group.propose_self_update(&self.provider, &self.signer, leaf)?;
        Ok(message.to_bytes()?)
    }

    /// Follows a Commit or keeps a proposal.
    pub fn process(&mut self, bytes: &[u8]) -> Outcome<()> {
        let message = MlsMessageIn::tls_deserialize_exact_bytes(bytes)?.try_into_protocol_message()?;
        let processed = self.group.process_message(&self.provider, message)?;
        match processed.into_content() {
            ProcessedMessageContent::StagedCommitMessage(staged) => {
                Ok(self.group.merge_staged_commit(&self.provider, *staged)?)
            }
            ProcessedMessageContent::ProposalMessage(proposal) => {
                Ok(self.group.store_pending_proposal(self.provider.storage(), *proposal)?)
            }
            _ => Err("neither a Commit nor a proposal".into()),
        }
    }

    pub fn send(&mut self, data: &[u8]) -> Outcome<Vec<u8>> {
        let message = self.group.create_message(&self.provider, &self.signer, data)?;
        Ok(message.to_bytes()?)
    }

    pub fn receive(&mut self, bytes: &[u8]) -> Outcome<Vec<u8>> {
        let message = MlsMessageIn::tls_deserialize_exact_bytes(bytes)?.try_into_protocol_message()?;
        let processed = self.group.process_message(&self.provider, message)?;
        match processed.into_content() {
            ProcessedMessageContent::ApplicationMessage(message) => Ok(message.into_bytes()),
            _ => Err("not an application message".into()),
        }
    }

    /// What MemoryStorage holds; every operation has written to it.
    pub fn load(&self) -> Outcome<MlsGroup> {
        Ok(MlsGroup::load(self.provider.storage(), self.group.group_id())?.ok_or("the group is not stored")?)
    }

    pub fn stored_bytes(&self) -> usize {
        self.provider.snapshot().iter().map(|(key, value)| key.len() + value.len()).sum()
    }

    pub fn group_info(&self) -> Outcome<Vec<u8>> {
        let info = self.group.export_group_info(self.provider.crypto(), &self.signer, true)?;
        Ok(info.to_bytes()?)
    }
}
