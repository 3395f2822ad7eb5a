module mlskit.example/interop/judge

go 1.26.1

require github.com/thomas-vilte/mls-go/interop/testrunner v0.0.0-20260710185059-9d524c5b1de7

// It names a version of its neighbour that only exists beside it.
replace github.com/thomas-vilte/mls-go/interop/server => github.com/thomas-vilte/mls-go/interop/server v0.0.0-20260710185059-9d524c5b1de7
