module soundstage/agent

go 1.26

require (
	github.com/klauspost/compress v1.18.0
	golang.org/x/sys v0.41.0
)
