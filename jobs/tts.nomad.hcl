# A speech service on a GPU of the farm: any server with an OpenAI-style /v1/audio/speech.
# It registers in Consul; voices of kind "openai" and "qwen" name its address (docs/guide/nomad.md).
#
#   nomad job run -var command=/opt/tts/bin/serve -var vram_mib=2048 jobs/tts.nomad.hcl
#
# Qwen3-TTS by vLLM-Omni, which speaks the same form, clones voices (`soundstage voices add`) and has /health:
#
#   nomad job run -var command=/opt/vllm/bin/vllm -var vram_mib=8192 -var memory_mb=16384 -var weights_volume=weights \
#     -var 'args=["serve", "/weights/Qwen3-TTS-12Hz-1.7B-Base", "--omni", "--host", "$${NOMAD_IP_http}", "--port", "$${NOMAD_PORT_http}"]' \
#     -var voices_volume=voices -var 'env={SPEAKER_SAMPLES_DIR = "/voices"}' jobs/tts.nomad.hcl

variable "id" {
  type    = string
  default = "tts"
}

variable "command" {
  type        = string
  default     = "/opt/soundstage/tts/bin/serve"
  description = "The server's program on the nodes. It gets its port as PORT and should bind to HOST."
}

variable "args" {
  type    = list(string)
  default = []
}

variable "env" {
  type        = map(string)
  default     = {}
  description = "More of its environment; no secrets."
}

variable "weights_volume" {
  type        = string
  default     = ""
  description = "A host volume with the weights, which comes to /weights and is only read; none, unless named."
}

variable "voices_volume" {
  type        = string
  default     = ""
  description = "A host volume that comes to /voices, for servers that keep cloned voices; none, unless named."
}

variable "health_path" {
  type    = string
  default = "/health"
}

variable "provider" {
  type        = string
  default     = "consul"
  description = "consul; nomad where there is no Consul."
}

variable "driver" {
  type    = string
  default = "exec"
}

variable "count" {
  type        = number
  default     = 1
  description = "How many servers."
}

variable "gpus" {
  type        = number
  default     = 1
  description = "Cards (on a gpu-shared node: shares of 1 GiB of one card). 0 asks for none."
}

variable "vram_mib" {
  type        = number
  default     = 2048
  description = "Least memory of each card."
}

variable "cpu" {
  type    = number
  default = 1000
}

variable "memory_mb" {
  type    = number
  default = 2048
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

job "tts" {
  id          = var.id
  name        = var.id
  type        = "service"
  namespace   = var.namespace
  datacenters = var.datacenters
  node_pool   = var.node_pool

  # A new version replaces servers one by one, and the old one comes back when the new one is not well.
  update {
    max_parallel      = 1
    min_healthy_time  = "10s"
    healthy_deadline  = "10m" # weights are large
    progress_deadline = "15m"
    auto_revert       = true
  }

  group "server" {
    count = var.count

    network {
      port "http" {}
    }

    restart {
      attempts = 3
      interval = "10m"
      delay    = "15s"
      mode     = "fail"
    }

    reschedule {
      delay          = "30s"
      delay_function = "exponential"
      max_delay      = "10m"
      unlimited      = true
    }

    dynamic "volume" {
      for_each = var.weights_volume == "" ? [] : [var.weights_volume]
      labels   = ["weights"]
      iterator = named
      content {
        type      = "host"
        source    = named.value
        read_only = true
      }
    }

    dynamic "volume" {
      for_each = var.voices_volume == "" ? [] : [var.voices_volume]
      labels   = ["voices"]
      iterator = named
      content {
        type   = "host"
        source = named.value
      }
    }

    service {
      name     = var.id
      port     = "http"
      provider = var.provider
      tags     = ["soundstage", "speech"]

      check {
        name     = "answers"
        type     = "http"
        path     = var.health_path
        interval = "10s"
        timeout  = "3s"

        check_restart {
          limit = 3
          grace = "5m"
        }
      }
    }

    task "serve" {
      driver       = var.driver
      kill_signal  = "SIGTERM"
      kill_timeout = "15s"

      config {
        command = var.command
        args    = var.args
      }

      env = merge(var.env, {
        HOST = "${NOMAD_IP_http}"
        PORT = "${NOMAD_PORT_http}"
      })

      dynamic "volume_mount" {
        for_each = var.weights_volume == "" ? [] : ["weights"]
        content {
          volume      = volume_mount.value
          destination = "/weights"
          read_only   = true
        }
      }

      dynamic "volume_mount" {
        for_each = var.voices_volume == "" ? [] : ["voices"]
        content {
          volume      = volume_mount.value
          destination = "/voices"
        }
      }

      resources {
        cpu    = var.cpu
        memory = var.memory_mb

        dynamic "device" {
          for_each = var.gpus > 0 ? [1] : []
          labels   = ["nvidia/gpu"]
          iterator = asked # or "device" would no longer name the node's device below
          content {
            count = var.gpus

            constraint {
              attribute = "${device.attr.memory}"
              operator  = ">="
              value     = "${var.vram_mib} MiB"
            }
          }
        }
      }
    }
  }
}
