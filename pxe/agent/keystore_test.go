package main

import (
	"os"
	"testing"
)

// restarted is the key that the ramdisk has after a restart.
func restarted(t *testing.T, folder string) string {
	t.Helper()
	key, err := (&KeyStore{folder: folder}).key()
	if err != nil {
		t.Fatal(err)
	}
	return string(key)
}

func TestAKeyIsKeptFromTheYesToTheMembership(t *testing.T) {
	folder := t.TempDir()
	store := &KeyStore{folder: folder}
	key, err := store.key()
	if err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(folder); len(left) != 0 || restarted(t, folder) == string(key) {
		t.Fatal("something was written before anybody said yes")
	}
	for range 2 {
		if err := store.keep(key); err != nil {
			t.Fatal(err)
		}
	}
	// Power is cut in the middle of the write: the next ramdisk speaks with the same key.
	if restarted(t, folder) != string(key) {
		t.Fatal("another key after the restart")
	}
	if err := store.forget(); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(folder); len(left) != 0 || restarted(t, folder) == string(key) {
		t.Fatal("the key is still there")
	}
	if err := store.forget(); err != nil {
		t.Fatal(err)
	}
}

func TestAVariableThatIsCutOffIsNoKeyAndIsReplaced(t *testing.T) {
	store := &KeyStore{folder: t.TempDir()}
	if err := os.WriteFile(store.path(), []byte{7, 0, 0, 0, 1, 2, 3}, 0o600); err != nil {
		t.Fatal(err)
	}
	key, err := store.key()
	if err != nil {
		t.Fatal(err)
	}
	if err := store.keep(key); err != nil {
		t.Fatal(err)
	}
	if restarted(t, store.folder) != string(key) {
		t.Fatal("the key was not kept")
	}
}

func TestFirmwareWithoutVariablesKeepsNothing(t *testing.T) {
	store := &KeyStore{}
	key, err := store.key()
	if err != nil || store.keep(key) != nil || store.forget() != nil {
		t.Fatal(err)
	}
}
