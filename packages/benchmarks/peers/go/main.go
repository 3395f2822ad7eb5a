// Measures mls-go by the protocol of ../README.md: JSON lines on standard input and output.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/thomas-vilte/mls-go/ciphersuite"
	"github.com/thomas-vilte/mls-go/group"
)

type request struct {
	Do      string            `json:"do"`
	Suite   int               `json:"suite"`
	Size    int               `json:"size"`
	Welcome []byte            `json:"welcome"`
	Group   string            `json:"group"`
	Count   int               `json:"count"`
	Steps   map[string][]step `json:"steps"`
}

type measured struct {
	Samples map[string][]float64 `json:"samples"`
	Bytes   map[string]int       `json:"bytes"`
}

type fixture struct {
	suite            ciphersuite.CipherSuite
	size             int
	sender, receiver *member
	creator, own     *invitation
	added            [][]byte
	guests           []*invitation
	welcome          []byte
}

var runs = []string{"add", "join", "commit", "message", "membership", "externalJoin", "storage"}

func main() {
	input := bufio.NewReaderSize(os.Stdin, 1<<20)
	output := json.NewEncoder(os.Stdout)
	var f fixture
	for {
		line, err := input.ReadBytes('\n')
		if err != nil {
			return
		}
		var r request
		var answer any
		if err = json.Unmarshal(line, &r); err == nil {
			answer, err = f.answer(r)
		}
		if err != nil {
			answer = map[string]string{"error": err.Error()}
		}
		if output.Encode(answer) != nil {
			return
		}
	}
}

func (f *fixture) answer(r request) (any, error) {
	ok := map[string]bool{"ok": true}
	switch r.Do {
	case "hello":
		return map[string]any{
			"library":    "mls-go",
			"version":    version(),
			"runtime":    fmt.Sprintf("%s, GOMAXPROCS %d", runtime.Version(), runtime.GOMAXPROCS(0)),
			"suites":     []int{1, 2, 3},
			"groups":     runs,
			"primitives": true,
		}, nil
	case "cold":
		return ok, f.cold(r.Suite, r.Size)
	case "guests":
		*f = fixture{suite: ciphersuite.CipherSuite(r.Suite), size: r.Size}
		var keyPackages [][]byte
		for i := range 2 {
			guest, err := invite(f.suite, fmt.Sprintf("guest %d", i))
			if err != nil {
				return nil, err
			}
			f.guests = append(f.guests, guest)
			keyPackages = append(keyPackages, guest.bytes)
		}
		return map[string]any{"keyPackages": keyPackages}, nil
	case "warm":
		return ok, f.warm(r.Welcome)
	case "primitives":
		return primitives(r.Suite, r.Steps, r.Count)
	case "run":
		m := measured{map[string][]float64{}, map[string]int{}}
		for range r.Count {
			if err := f.run(r.Group, &m); err != nil {
				return nil, err
			}
		}
		return m, nil
	}
	return nil, fmt.Errorf("unknown request %s", r.Do)
}

func version() string {
	info, ok := debug.ReadBuildInfo()
	if ok {
		for _, dependency := range info.Deps {
			if dependency.Path == "github.com/thomas-vilte/mls-go" {
				return dependency.Version
			}
		}
	}
	return "unknown"
}

func (f *fixture) cold(suite, size int) (err error) {
	*f = fixture{suite: ciphersuite.CipherSuite(suite), size: size}
	if f.creator, err = invite(f.suite, "creator"); err != nil {
		return err
	}
	for i := 1; i < size; i++ {
		if f.own, err = invite(f.suite, fmt.Sprintf("member %d", i)); err != nil {
			return err
		}
		f.added = append(f.added, f.own.bytes)
	}
	if f.sender, err = create(f.suite, f.creator); err != nil {
		return err
	}
	if _, f.welcome, err = f.sender.commit(f.added, nil); err != nil {
		return err
	}
	if f.receiver, err = join(f.own, f.welcome); err != nil {
		return err
	}
	return f.agree()
}

func (f *fixture) warm(welcome []byte) (err error) {
	f.welcome, f.own = welcome, f.guests[1]
	if f.sender, err = join(f.guests[0], welcome); err != nil {
		return err
	}
	if f.receiver, err = join(f.guests[1], welcome); err != nil {
		return err
	}
	commit, _, err := f.sender.commit(nil, nil)
	if err != nil {
		return err
	}
	if err = f.receiver.process(commit); err != nil {
		return err
	}
	if commit, _, err = f.receiver.commit(nil, nil); err != nil {
		return err
	}
	if err = f.sender.process(commit); err != nil {
		return err
	}
	return f.agree()
}

func (f *fixture) agree() error {
	if !bytes.Equal(f.sender.group.EpochAuthenticator(), f.receiver.group.EpochAuthenticator()) {
		return fmt.Errorf("the members are not in the same epoch")
	}
	return nil
}

func (m *measured) time(operation string, start time.Time) {
	elapsed := float64(time.Since(start).Nanoseconds()) / 1000
	m.Samples[operation] = append(m.Samples[operation], elapsed)
}

func (f *fixture) run(group string, m *measured) error {
	switch group {
	case "add":
		start := time.Now()
		made, err := create(f.suite, f.creator)
		if err != nil {
			return err
		}
		commit, welcome, err := made.commit(f.added, nil)
		m.time("add", start)
		m.Bytes["add"] = len(commit) + len(welcome)
		return err
	case "join":
		start := time.Now()
		_, err := join(f.own, f.welcome)
		m.time("join", start)
		m.Bytes["join"] = len(f.welcome)
		return err
	case "commit":
		return f.commitAndProcess(m, "commit", nil, nil)
	case "message":
		return f.message(m)
	case "membership":
		guest, err := invite(f.suite, "guest")
		if err != nil {
			return err
		}
		if err = f.commitAndProcess(m, "addOne", [][]byte{guest.bytes}, nil); err != nil {
			return err
		}
		return f.commitAndProcess(m, "removeOne", nil, []uint32{uint32(f.size)})
	case "storage":
		return f.storage(m)
	case "externalJoin":
		own, err := invite(f.suite, "outsider")
		if err != nil {
			return err
		}
		info, err := f.sender.groupInfo()
		if err != nil {
			return err
		}
		start := time.Now()
		commit, err := joinExternally(f.suite, own, info)
		m.time("externalJoin", start)
		m.Bytes["externalJoin"] = len(commit)
		return err
	}
	return fmt.Errorf("unknown group %s", group)
}

// receivers names what the other member does after each operation.
var receivers = map[string]string{"commit": "process", "addOne": "processAdd", "removeOne": "processRemove"}

func (f *fixture) commitAndProcess(m *measured, name string, add [][]byte, remove []uint32) error {
	start := time.Now()
	commit, welcome, err := f.sender.commit(add, remove)
	m.time(name, start)
	if err != nil {
		return err
	}
	m.Bytes[name] = len(commit) + len(welcome)
	start = time.Now()
	err = f.receiver.process(commit)
	m.time(receivers[name], start)
	if err != nil {
		return err
	}
	return f.agree()
}

func (f *fixture) storage(m *measured) error {
	start := time.Now()
	state, err := f.receiver.group.MarshalState()
	m.time("store", start)
	if err != nil {
		return err
	}
	m.Bytes["store"], m.Bytes["load"] = len(state), len(state)
	start = time.Now()
	loaded, err := group.UnmarshalGroupState(state)
	m.time("load", start)
	if err == nil && !bytes.Equal(loaded.EpochAuthenticator(), f.receiver.group.EpochAuthenticator()) {
		err = fmt.Errorf("another group was loaded")
	}
	return err
}

func (f *fixture) message(m *measured) error {
	start := time.Now()
	message, err := f.sender.send(payload)
	m.time("send", start)
	if err != nil {
		return err
	}
	m.Bytes["send"] = len(message)
	start = time.Now()
	data, err := f.receiver.receive(message)
	m.time("receive", start)
	if err == nil && !bytes.Equal(data, payload) {
		err = fmt.Errorf("another plaintext was received")
	}
	return err
}

var payload = func() []byte {
	data := make([]byte, 1024)
	for i := range data {
		data[i] = byte(i * 7)
	}
	return data
}()
