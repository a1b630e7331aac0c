package main

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
)

// Archive writes the form of cpio that Linux unpacks as its first file system (newc); everything belongs to root.
type Archive struct {
	to     io.Writer
	inodes int
}

func newArchive(to io.Writer) *Archive { return &Archive{to: to} }

// addTree puts all of a folder below `name`.
func (a *Archive) addTree(name, folder string) error {
	return filepath.WalkDir(folder, func(at string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		below, err := filepath.Rel(folder, at)
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if entry.IsDir() {
			a.entry(path.Join(name, below), 0o40000|uint32(info.Mode().Perm()), nil)
			return nil
		}
		content, err := os.ReadFile(at)
		if err != nil {
			return err
		}
		a.add(path.Join(name, below), content, info.Mode().Perm())
		return nil
	})
}

func (a *Archive) add(name string, content []byte, mode os.FileMode) {
	a.entry(name, 0o100000|uint32(mode), content)
}

func (a *Archive) end() { a.entry("TRAILER!!!", 0, nil) }

func (a *Archive) entry(name string, mode uint32, content []byte) {
	a.inodes++
	head := "070701"
	for _, field := range []int{a.inodes, int(mode), 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0} {
		head += fmt.Sprintf("%08x", field)
	}
	head += name + "\x00"
	a.padded([]byte(head))
	a.padded(content)
}

func (a *Archive) padded(content []byte) {
	a.to.Write(content)
	a.to.Write(make([]byte, (4-len(content)%4)%4))
}
