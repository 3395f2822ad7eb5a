package main

import (
	"bytes"
	"fmt"

	"github.com/thomas-vilte/mls-go/ciphersuite"
	"github.com/thomas-vilte/mls-go/credentials"
	"github.com/thomas-vilte/mls-go/framing"
	"github.com/thomas-vilte/mls-go/group"
	"github.com/thomas-vilte/mls-go/keypackages"
)

// Headers of an MLSMessage: version 1 and the wire format.
var (
	welcomeHeader    = []byte{0, 1, 0, 3}
	groupInfoHeader  = []byte{0, 1, 0, 4}
	keyPackageHeader = []byte{0, 1, 0, 5}
)

type invitation struct {
	keyPackage *keypackages.KeyPackage
	keys       *keypackages.KeyPackagePrivateKeys
	credential *credentials.Credential
	bytes      []byte
}

type member struct {
	group  *group.Group
	signer *ciphersuite.SignaturePrivateKey
}

func invite(suite ciphersuite.CipherSuite, name string) (*invitation, error) {
	credential, _, err := credentials.GenerateCredentialWithKeyForCS([]byte(name), suite)
	if err != nil {
		return nil, err
	}
	kp, keys, err := keypackages.Generate(credential, suite)
	if err != nil {
		return nil, err
	}
	return &invitation{kp, keys, credential.Credential, append(bytes.Clone(keyPackageHeader), kp.Marshal()...)}, nil
}

func create(suite ciphersuite.CipherSuite, creator *invitation) (*member, error) {
	id, err := group.NewGroupIDRandom()
	if err != nil {
		return nil, err
	}
	g, err := group.NewGroup(id, suite, creator.keyPackage, creator.keys)
	if err != nil {
		return nil, err
	}
	return &member{g, creator.keys.GetSignaturePrivateKey()}, nil
}

func join(own *invitation, message []byte) (*member, error) {
	w, err := group.UnmarshalWelcome(bytes.TrimPrefix(message, welcomeHeader))
	if err != nil {
		return nil, err
	}
	g, err := group.JoinFromWelcome(w, own.keyPackage, own.keys, nil)
	if err != nil {
		return nil, err
	}
	return &member{g, own.keys.GetSignaturePrivateKey()}, nil
}

// commit adds these key packages and removes these leaves, and merges.
func (m *member) commit(add [][]byte, remove []uint32) (commit, welcome []byte, err error) {
	for _, leaf := range remove {
		if _, err = m.group.RemoveMember(group.LeafNodeIndex(leaf)); err != nil {
			return nil, nil, err
		}
	}
	var added []*keypackages.KeyPackage
	for _, message := range add {
		kp, err := keypackages.UnmarshalKeyPackage(bytes.TrimPrefix(message, keyPackageHeader))
		if err != nil {
			return nil, nil, err
		}
		if _, err = m.group.AddMember(kp); err != nil {
			return nil, nil, err
		}
		added = append(added, kp)
	}
	staged, err := m.group.Commit(m.signer, m.signer.PublicKey(), nil)
	if err != nil {
		return nil, nil, err
	}
	joiner, pskIDs, psk := staged.JoinerSecret(), staged.PskIDs(), staged.RawPskSecret()
	content := staged.AuthenticatedContent()
	message := &framing.PublicMessage{
		Content:       content.Content,
		Auth:          content.Auth,
		MembershipTag: staged.MembershipTag(),
	}
	commit = framing.NewMLSMessagePublic(message).Marshal()
	if err = m.group.MergeCommit(staged); err != nil {
		return nil, nil, err
	}
	if len(added) > 0 {
		w, err := m.group.CreateWelcomeWithOpts(added, m.signer,
			group.WithJoinerSecret(joiner), group.WithPSKIDs(pskIDs),
			group.WithPSKSecret(psk), group.WithStagedCommit(staged))
		if err != nil {
			return nil, nil, err
		}
		welcome = append(bytes.Clone(welcomeHeader), w.Marshal()...)
	}
	return commit, welcome, nil
}

func (m *member) process(message []byte) error {
	decoded, err := framing.UnmarshalMLSMessage(message)
	if err != nil {
		return err
	}
	public, isPublic := decoded.AsPublic()
	if !isPublic {
		return fmt.Errorf("not a PublicMessage")
	}
	return m.group.ProcessPublicMessage(public)
}

func (m *member) send(data []byte) ([]byte, error) {
	message, err := m.group.SendMessage(data, m.signer)
	if err != nil {
		return nil, err
	}
	return framing.NewMLSMessagePrivate(message).Marshal(), nil
}

func (m *member) receive(message []byte) ([]byte, error) {
	decoded, err := framing.UnmarshalMLSMessage(message)
	if err != nil {
		return nil, err
	}
	private, isPrivate := decoded.AsPrivate()
	if !isPrivate {
		return nil, fmt.Errorf("not a PrivateMessage")
	}
	data, _, _, err := m.group.ReceiveApplicationMessage(private)
	return data, err
}

func (m *member) groupInfo() ([]byte, error) {
	info, err := m.group.GetGroupInfoWithOptions(m.signer,
		group.WithExternalPub(true), group.WithRatchetTree(true))
	if err != nil {
		return nil, err
	}
	return append(bytes.Clone(groupInfoHeader), info.Marshal()...), nil
}

func joinExternally(suite ciphersuite.CipherSuite, own *invitation, message []byte) ([]byte, error) {
	info, err := group.UnmarshalGroupInfo(bytes.TrimPrefix(message, groupInfoHeader))
	if err != nil {
		return nil, err
	}
	signer := own.keys.GetSignaturePrivateKey()
	_, staged, err := group.ExternalCommit(info, suite, signer, signer.PublicKey(), nil, own.credential)
	if err != nil {
		return nil, err
	}
	content := staged.AuthenticatedContent()
	commit := &framing.PublicMessage{Content: content.Content, Auth: content.Auth}
	return framing.NewMLSMessagePublic(commit).Marshal(), nil
}
