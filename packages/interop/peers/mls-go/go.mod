module mlskit.example/interop/mls-go

go 1.26.1

require (
	github.com/thomas-vilte/mls-go v1.6.0
	github.com/thomas-vilte/mls-go/interop/server v0.0.0-20260710185059-9d524c5b1de7
)
