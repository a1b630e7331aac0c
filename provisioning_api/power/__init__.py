"""Switching machines on and off: Wake-on-LAN, Redfish, webhook."""
