package main

import (
	"fmt"
	"testing"
)

func TestTheCardThatWasBootedOverComesFirstAndEachCardHasItsTurn(t *testing.T) {
	a, b, c := NIC{Name: "a", MAC: "52:54:00:00:00:0a"}, NIC{Name: "b", MAC: "52:54:00:00:00:0b"}, NIC{Name: "c", MAC: "52:54:00:00:00:0c"}
	order := func(cards []NIC) string {
		names := ""
		for _, card := range cards {
			names += card.Name
		}
		return names
	}
	cards := []NIC{a, b, c}
	for want, got := range map[string]string{
		"bac booted over b":    order(bootedFirst(cards, "52:54:00:00:00:0B")) + " booted over b",
		"abc nobody says":      order(bootedFirst(cards, "")) + " nobody says",
		"abc a card unknown":   order(bootedFirst(cards, "52:54:00:00:00:ff")) + " a card unknown",
		"bca behind a":         order(behind(cards, a)) + " behind a",
		"abc behind the last":  order(behind(cards, c)) + " behind the last",
		"abc and left as were": order(cards) + " and left as were",
	} {
		if want != got {
			t.Errorf("%s is not %s", got, want)
		}
	}
}

func TestTheBootScriptNamesACardOrNone(t *testing.T) {
	for word, want := range map[string]string{"52:54:00:00:00:0A": "52:54:00:00:00:0a", "": "", "${netX/mac}": ""} {
		found, err := readOptions(fmt.Sprintf("soundstage.api=https://10.0.0.1 soundstage.card=%s", word))
		if err != nil || found.Card != want {
			t.Errorf("%q names %q: %v", word, found.Card, err)
		}
	}
}
