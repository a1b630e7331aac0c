"""The bytes between the Nomad agent and this plugin: message types generated from the .proto files beside
them."""
