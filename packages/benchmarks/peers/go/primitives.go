package main

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/hpke"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"time"
)

// A step is a number of calls of one primitive on inputs of a size.
type step struct {
	Call   string `json:"call"`
	Count  int    `json:"count"`
	Size   int    `json:"size"`
	PerKey int    `json:"perKey"`
	// With keys that have not been met before: to read them belongs to the call.
	NewKeys bool `json:"newKeys"`
}

// Longest info that is hashed for each recipient; a library can hash a longer one once for all.
const longestInfo = 200

type suite struct {
	curve  ecdh.Curve
	kem    hpke.KEM
	sign   func(data []byte) []byte
	verify func(data, signature []byte) error
	// parse reads the public key that verify checks with.
	parse func() error
}

// primitives carries out the steps with Go's standard library, one call after the other.
func primitives(id int, steps map[string][]step, count int) (any, error) {
	s, err := newSuite(id)
	if err != nil {
		return nil, err
	}
	m := measured{map[string][]float64{}, map[string]int{}}
	for operation, list := range steps {
		var calls []func() error
		for _, each := range list {
			call, err := s.prepare(each)
			if err != nil {
				return nil, err
			}
			calls = append(calls, call)
		}
		for range count {
			start := time.Now()
			for _, call := range calls {
				if err := call(); err != nil {
					return nil, err
				}
			}
			m.time(operation, start)
		}
	}
	return m, nil
}

func newSuite(id int) (*suite, error) {
	switch id {
	case 1:
		public, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		return &suite{
			curve: ecdh.X25519(),
			kem:   hpke.DHKEM(ecdh.X25519()),
			sign:  func(data []byte) []byte { return ed25519.Sign(private, data) },
			verify: func(data, signature []byte) error {
				if !ed25519.Verify(public, data, signature) {
					return fmt.Errorf("a signature is wrong")
				}
				return nil
			},
			// Verifying reads the bytes.
			parse: func() error { return nil },
		}, nil
	case 2:
		private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, err
		}
		public, err := private.PublicKey.Bytes()
		if err != nil {
			return nil, err
		}
		return &suite{
			curve: ecdh.P256(),
			kem:   hpke.DHKEM(ecdh.P256()),
			sign: func(data []byte) []byte {
				digest := sha256.Sum256(data)
				signature, _ := private.Sign(rand.Reader, digest[:], crypto.SHA256)
				return signature
			},
			verify: func(data, signature []byte) error {
				digest := sha256.Sum256(data)
				if !ecdsa.VerifyASN1(&private.PublicKey, digest[:], signature) {
					return fmt.Errorf("a signature is wrong")
				}
				return nil
			},
			parse: func() error {
				_, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), public)
				return err
			},
		}, nil
	}
	return nil, fmt.Errorf("no primitives for suite %d", id)
}

// prepare makes the inputs of a step; what it returns does the work.
func (s *suite) prepare(each step) (func() error, error) {
	data := make([]byte, each.Size)
	secret := make([]byte, 32)
	_, _ = rand.Read(secret)
	one, err := s.prepareCall(each, data, secret)
	if err != nil {
		return nil, err
	}
	perKey := max(1, each.PerKey)
	return func() error {
		for i := range each.Count {
			if each.NewKeys && each.Call == "verify" && i%perKey == 0 {
				if err := s.parse(); err != nil {
					return err
				}
			}
			if err := one(); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

func (s *suite) prepareCall(each step, data, secret []byte) (func() error, error) {
	call := each.Call
	kdf, aead := hpke.HKDFSHA256(), hpke.AES128GCM()
	info := data[:min(len(data), longestInfo)]
	switch call {
	case "hash":
		return func() error { sha256.Sum256(data); return nil }, nil
	case "hmac":
		return func() error { mac(secret, data); return nil }, nil
	case "sign":
		return func() error { s.sign(data); return nil }, nil
	case "verify":
		signature := s.sign(data)
		return func() error { return s.verify(data, signature) }, nil
	case "generateKeyPair":
		return func() error { _, err := s.curve.GenerateKey(rand.Reader); return err }, nil
	case "deriveKeyPair":
		return func() error { _, err := s.kem.DeriveKeyPair(secret); return err }, nil
	case "aeadSeal", "aeadOpen":
		return prepareAead(call, data, secret)
	}
	private, err := s.kem.GenerateKey()
	if err != nil {
		return nil, err
	}
	public := private.PublicKey()
	encoded := public.Bytes()
	recipient := func() (hpke.PublicKey, error) {
		if each.NewKeys {
			return s.kem.NewPublicKey(encoded)
		}
		return public, nil
	}
	switch call {
	case "seal":
		return func() error {
			to, err := recipient()
			if err == nil {
				_, err = hpke.Seal(to, kdf, aead, info, secret)
			}
			return err
		}, nil
	case "open":
		sealed, err := hpke.Seal(public, kdf, aead, data, secret)
		if err != nil {
			return nil, err
		}
		return func() error { _, err := hpke.Open(private, kdf, aead, data, sealed); return err }, nil
	case "sendExport":
		return func() error {
			to, err := recipient()
			if err != nil {
				return err
			}
			_, sender, err := hpke.NewSender(to, kdf, aead, data)
			if err != nil {
				return err
			}
			_, err = sender.Export("MLS 1.0 external init secret", 32)
			return err
		}, nil
	}
	return nil, fmt.Errorf("unknown primitive %s", call)
}

func prepareAead(call string, data, secret []byte) (func() error, error) {
	nonce := make([]byte, 12)
	additional := make([]byte, 60)
	// Each message has a key of its own, so setting up the cipher belongs to the call.
	instance := func() (cipher.AEAD, error) {
		block, err := aes.NewCipher(secret[:16])
		if err != nil {
			return nil, err
		}
		return cipher.NewGCM(block)
	}
	if call == "aeadSeal" {
		return func() error {
			aead, err := instance()
			if err == nil {
				aead.Seal(nil, nonce, data, additional)
			}
			return err
		}, nil
	}
	aead, err := instance()
	if err != nil {
		return nil, err
	}
	sealed := aead.Seal(nil, nonce, data, additional)
	return func() error {
		aead, err := instance()
		if err != nil {
			return err
		}
		_, err = aead.Open(nil, nonce, sealed, additional)
		return err
	}, nil
}

func mac(key, data []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(data)
	return h.Sum(nil)
}
