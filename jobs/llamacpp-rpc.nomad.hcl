# Cards that share one large language model: a pool of llama.cpp's rpc-server for jobs/llm-expert.nomad.hcl.
#
# rpc-server asks nobody who they are, and whoever reaches it can run code there. So the network is named
# each time: one that the model's servers alone can reach. It serves one model server at a time.
#
#   nomad job run -var host_network=models -var program_volume=soundstage -var count=3 -var vram_mib=12000 jobs/llamacpp-rpc.nomad.hcl
#   nomad job run -var rpc_service=llamacpp-rpc ... jobs/llm-expert.nomad.hcl

variable "host_network" {
  type        = string
  description = "The nodes' host_network on which it listens. `default` is the one that everybody uses: only where that is closed."
}

variable "id" {
  type        = string
  default     = "llamacpp-rpc"
  description = "Name of the job and the service."
}

variable "command" {
  type        = string
  default     = "/opt/soundstage/llama.cpp/ggml-rpc-server"
  description = "The program on the nodes, of the same version as the llama-server that uses it. Older versions call it rpc-server."
}

variable "args" {
  type        = list(string)
  default     = []
  description = "In place of rpc-server's own arguments, for another program. It gets its address as HOST and PORT."
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

variable "program_volume" {
  type        = string
  default     = ""
  description = "A host volume with the program, for drivers that show tasks no /opt (exec); it comes to /opt/soundstage, read-only. The playbook calls it soundstage."
}

variable "count" {
  type        = number
  default     = 1
  description = "How many servers."
}

variable "gpus" {
  type        = number
  default     = 1
  description = "Cards of each (on a gpu-shared node: shares of 1 GiB of one card). 0 asks for none and computes on the processor."
}

variable "vram_mib" {
  type        = number
  default     = 6144
  description = "Least memory of each card."
}

variable "device" {
  type        = string
  default     = "nvidia/gpu"
  description = "What is asked for: vendor/type or vendor/type/model."
}

variable "cpu" {
  type        = number
  default     = 1000
  description = "MHz."
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

job "llamacpp-rpc" {
  id          = var.id
  name        = var.id
  type        = "service"
  namespace   = var.namespace
  datacenters = var.datacenters
  node_pool   = var.node_pool

  update {
    max_parallel      = 1
    min_healthy_time  = "10s"
    healthy_deadline  = "5m"
    progress_deadline = "10m"
    auto_revert       = true
  }

  group "server" {
    count = var.count

    network {
      port "rpc" {
        host_network = var.host_network
      }
    }

    restart {
      attempts = 3
      interval = "10m"
      delay    = "5s"
      mode     = "fail"
    }

    reschedule {
      delay          = "30s"
      delay_function = "exponential"
      max_delay      = "10m"
      unlimited      = true
    }

    dynamic "volume" {
      for_each = var.program_volume == "" ? [] : [var.program_volume]
      labels   = ["program"]
      iterator = named
      content {
        type      = "host"
        source    = named.value
        read_only = true
      }
    }

    service {
      name     = var.id
      port     = "rpc"
      provider = var.provider
      tags     = ["soundstage", "rpc"]

      # rpc-server serves one connection and lets one more wait: a check that connects would find a server in use
      # dead. So this one looks whether the port is listened on. Nomad's own registry has no such checks.
      dynamic "check" {
        for_each = var.provider == "consul" ? [1] : []
        content {
          name     = "listens"
          type     = "script"
          task     = "serve"
          command  = "/bin/sh"
          args     = ["-c", "cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | grep -qi \":$(printf %04X ${NOMAD_PORT_rpc}) [0-9A-F]*:0000 0A \""]
          interval = "10s"
          timeout  = "3s"
        }
      }
    }

    task "serve" {
      driver       = var.driver
      kill_signal  = "SIGKILL" # with exec it is its namespace's first process, and deaf to SIGTERM; it has nothing to save
      kill_timeout = "10s"

      config {
        command = var.command
        args    = length(var.args) > 0 ? var.args : ["--host", "${NOMAD_IP_rpc}", "--port", "${NOMAD_PORT_rpc}"]
      }

      env {
        HOST = "${NOMAD_IP_rpc}"
        PORT = "${NOMAD_PORT_rpc}"
      }

      dynamic "volume_mount" {
        for_each = var.program_volume == "" ? [] : ["program"]
        content {
          volume      = volume_mount.value
          destination = "/opt/soundstage"
          read_only   = true
        }
      }

      resources {
        cpu    = var.cpu
        memory = var.memory_mb

        dynamic "device" {
          for_each = var.gpus > 0 ? [1] : []
          labels   = [var.device]
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
