//go:build tools

// The peer is a program of another module; this import keeps it among our requirements.
package peer

import _ "github.com/thomas-vilte/mls-go/interop/server"
