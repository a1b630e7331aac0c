"""The installer way to an operating system: Debian's own, told what to do by a preseed per machine."""
