//go:build tools

// The judge is a program of another module; this import keeps it among our requirements.
package judge

import _ "github.com/thomas-vilte/mls-go/interop/testrunner"
