package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Console is where people look: the screen and the serial line, whichever the machine has.
type Console struct{ to []io.Writer }

func openConsole() *Console {
	console := &Console{}
	for _, path := range []string{"/dev/console", "/dev/tty0"} {
		if file, err := os.OpenFile(path, os.O_WRONLY|unix.O_NOCTTY, 0); err == nil {
			console.to = append(console.to, file)
		}
	}
	return console
}

// Say prints a line. What a machine tells about itself is shown as plain letters.
func (c *Console) Say(format string, words ...any) {
	text := strings.Map(func(one rune) rune {
		if one < ' ' || one == 0x7f {
			return ' '
		}
		return one
	}, fmt.Sprintf(format, words...))
	for _, to := range c.to {
		fmt.Fprintf(to, "soundstage: %s\r\n", text)
	}
}

// prepare makes what the kernel leaves to the first program.
func prepare() error {
	for _, one := range []struct{ kind, at string }{
		{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}, {"tmpfs", "/run"},
	} {
		if err := os.MkdirAll(one.at, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(one.kind, one.at, one.kind, 0, ""); err != nil && err != unix.EBUSY {
			return fmt.Errorf("mounting %s: %w", one.at, err)
		}
	}
	return nil
}

// uptime is how long the kernel has been running, whatever its clock says.
func uptime() time.Duration {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		return 0
	}
	return time.Duration(now.Nano())
}

// setClock corrects a clock that is off by more than seconds: certificates and logs want to know the year.
func setClock(at time.Time) {
	off := time.Since(at)
	if off.Abs() < 5*time.Second {
		return
	}
	now := unix.NsecToTimeval(at.UnixNano())
	if unix.Settimeofday(&now) != nil {
		return
	}
	writeHardwareClock(at.UTC())
}

// writeHardwareClock, so that the installed system starts with it too.
func writeHardwareClock(at time.Time) {
	clock, err := os.OpenFile("/dev/rtc0", os.O_WRONLY, 0)
	if err != nil {
		return
	}
	defer clock.Close()
	_ = unix.IoctlSetRTCTime(int(clock.Fd()), &unix.RTCTime{
		Sec: int32(at.Second()), Min: int32(at.Minute()), Hour: int32(at.Hour()),
		Mday: int32(at.Day()), Mon: int32(at.Month()) - 1, Year: int32(at.Year()) - 1900,
	})
}

func reboot() {
	unix.Sync()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
}

func powerOff() {
	unix.Sync()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}
