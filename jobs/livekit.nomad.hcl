# A LiveKit server on the farm, for voice sessions in rooms, where no service of systemd runs it (role livekit).
# It speaks plain HTTP: put a proxy with TLS before it for people on other machines (docs/guide/voice.md).
# Its keys stand in the Nomad Variable nomad/jobs/livekit: `soundstage voice keys` makes them.
#
#   nomad job run -var node=control-1 jobs/livekit.nomad.hcl

variable "id" {
  type    = string
  default = "livekit"
}

variable "command" {
  type        = string
  default     = "/opt/soundstage/livekit/livekit-server"
  description = "The program on the node; `tools/build livekit` builds it."
}

variable "webhooks" {
  type        = list(string)
  default     = []
  description = "URLs that get its signed events: http://STUDIO:8000/api/voice/livekit/webhook. Item `api_key` of the Nomad Variable names their key."
}

variable "media_address" {
  type        = string
  default     = ""
  description = "The address to which browsers send sound, where a NAT stands before the node; the node's unless named."
}

variable "port" {
  type        = number
  default     = 7880
  description = "HTTP and WebSockets."
}

variable "tcp_port" {
  type        = number
  default     = 7881
  description = "Sound, where UDP does not pass."
}

variable "udp_port" {
  type        = number
  default     = 7882
  description = "Sound."
}

variable "metrics_port" {
  type        = number
  default     = 6789
  description = "Prometheus."
}

variable "provider" {
  type        = string
  default     = "consul"
  description = "consul; nomad where there is no Consul."
}

variable "driver" {
  type        = string
  default     = "exec"
  description = "exec; raw_exec where there are no cgroups."
}

variable "node" {
  type        = string
  default     = ""
  description = "Name of the node, whose address people know. Empty: any."
}

variable "cpu" {
  type        = number
  default     = 1000
  description = "MHz."
}

variable "memory_mb" {
  type    = number
  default = 512
}

variable "datacenters" {
  type    = list(string)
  default = ["*"]
}

variable "node_pool" {
  type    = string
  default = "all"
}

variable "namespace" {
  type    = string
  default = "default"
}

job "livekit" {
  id          = var.id
  name        = var.id
  type        = "service"
  namespace   = var.namespace
  datacenters = var.datacenters
  node_pool   = var.node_pool

  dynamic "constraint" {
    for_each = var.node == "" ? [] : [var.node]
    content {
      attribute = "${node.unique.name}"
      value     = constraint.value
    }
  }

  group "server" {
    network {
      port "http" {
        static = var.port
      }
      port "tcp" {
        static = var.tcp_port
      }
      port "udp" {
        static = var.udp_port
      }
      port "metrics" {
        static = var.metrics_port
      }
    }

    restart {
      attempts = 5
      interval = "5m"
      delay    = "2s"
      mode     = "delay"
    }

    service {
      name     = var.id
      port     = "http"
      provider = var.provider
      tags     = ["soundstage", "voice"]

      check {
        name     = "answers"
        type     = "http"
        path     = "/"
        interval = "5s"
        timeout  = "3s"

        check_restart {
          limit = 6
          grace = "30s"
        }
      }
    }

    task "serve" {
      driver = var.driver
      # After it the server takes no new rooms and waits until everybody has left.
      kill_signal  = "SIGTERM"
      kill_timeout = "30s"

      config {
        command  = var.command
        args     = ["--config", "${NOMAD_TASK_DIR}/livekit.yaml"]
        cap_drop = var.driver == "exec" ? ["all"] : null
      }

      # Read by Nomad: a file of mode 0400 would be root's, and LiveKit refuses one that others may read.
      template {
        destination = "${NOMAD_SECRETS_DIR}/keys.env"
        perms       = "0400"
        env         = true
        change_mode = "restart"
        data        = "LIVEKIT_KEYS={{ with nomadVar \"nomad/jobs/${var.id}\" }}{{ .keys.Value | trimSpace | toJSON }}{{ end }}\n"
      }

      # The key of its webhooks is public; its secret is not in this file.
      template {
        destination = "${NOMAD_TASK_DIR}/livekit.yaml"
        change_mode = "restart"
        data        = <<-YAML
          port: {{ env "NOMAD_PORT_http" }}
          bind_addresses: [{{ env "NOMAD_IP_http" | toJSON }}]
          prometheus: {port: {{ env "NOMAD_PORT_metrics" }}}
          rtc:
            tcp_port: {{ env "NOMAD_PORT_tcp" }}
            udp_port: {{ env "NOMAD_PORT_udp" }}
            node_ip: ${var.media_address == "" ? "{{ env \"NOMAD_IP_udp\" | toJSON }}" : jsonencode(var.media_address)}
            use_external_ip: false
            stun_servers: []
          room: {auto_create: false, empty_timeout: 60}
          turn: {enabled: false}
          logging: {level: info, json: true, pion_level: error}
          ${length(var.webhooks) == 0 ? "" : "webhook: {api_key: {{ with nomadVar \"nomad/jobs/${var.id}\" }}{{ .api_key }}{{ end }}, urls: ${jsonencode(var.webhooks)}}"}
        YAML
      }

      resources {
        cpu    = var.cpu
        memory = var.memory_mb
      }

      logs {
        max_files     = 5
        max_file_size = 10
      }
    }
  }
}
