"""Self-healing: machines whose node fails are drained, power-cycled, reinstalled and returned."""
