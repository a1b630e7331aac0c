# A language model for the agent: llama.cpp's llama-server, or any server with OpenAI's chat completions.
# It registers in Consul as the agent looks for experts (docs/guide/conversation.md).
#
#   nomad job run -var program_volume=soundstage -var model_file=/opt/soundstage/weights/qwen3-8b-q4.gguf -var model=qwen3-8b -var vram_mib=8000 jobs/llm-expert.nomad.hcl

variable "id" {
  type        = string
  default     = "llm-expert"
  description = "Name of the job and the service. Several models are several jobs."
}

variable "command" {
  type        = string
  default     = "/opt/soundstage/llama.cpp/llama-server"
  description = "The server's program on the nodes."
}

variable "args" {
  type        = list(string)
  default     = []
  description = "In place of llama-server's own arguments, for another program. It gets its address as HOST and PORT."
}

variable "extra_args" {
  type        = list(string)
  default     = []
  description = "After llama-server's own arguments."
}

variable "model_file" {
  type        = string
  default     = "/opt/soundstage/weights/expert.gguf"
  description = "The weights on the nodes, a GGUF file."
}

variable "model" {
  type        = string
  default     = "expert"
  description = "By which name the agent asks for it."
}

variable "path" {
  type        = string
  default     = "/v1"
  description = "Where its chat completions lie."
}

variable "health_path" {
  type    = string
  default = "/health"
}

variable "topics" {
  type        = string
  default     = ""
  description = "Words that make the agent ask it first, by spaces or commas: tides harbours. Empty: none in particular."
}

variable "context_tokens" {
  type        = number
  default     = 16384
  description = "Length of a conversation, shared by the parallel ones."
}

variable "parallel" {
  type        = number
  default     = 1
  description = "How many it answers at a time."
}

variable "api_key" {
  type        = bool
  default     = false
  description = "Ask for the key in the item api_key of the Nomad Variable nomad/jobs/<id>; experts.api_key_file names the agent's copy."
}

variable "rpc_service" {
  type        = string
  default     = ""
  description = "A pool of jobs/llamacpp-rpc.nomad.hcl that shares the model, by its name; it serves one server, so count stays 1. Empty: this card alone."
}

variable "provider" {
  type        = string
  default     = "consul"
  description = "consul; nomad where there is no Consul, but then the agent does not find it by itself."
}

variable "driver" {
  type    = string
  default = "exec"
}

variable "program_volume" {
  type        = string
  default     = ""
  description = "A host volume with program and weights, for drivers that show tasks no /opt (exec); it comes to /opt/soundstage, read-only. The playbook calls it soundstage."
}

variable "count" {
  type        = number
  default     = 1
  description = "How many servers; the agent asks the quickest."
}

variable "gpus" {
  type        = number
  default     = 1
  description = "Cards (on a gpu-shared node: shares of 1 GiB of one card). 0 asks for none and computes on the processor."
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
  default     = 2000
  description = "MHz."
}

variable "memory_mb" {
  type        = number
  default     = 8192
  description = "What does not fit on the cards has to fit here."
}

variable "nodes" {
  type        = list(string)
  default     = []
  description = "Names of the nodes that have the program and the weights. Empty: any."
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

job "llm-expert" {
  id          = var.id
  name        = var.id
  type        = "service"
  namespace   = var.namespace
  datacenters = var.datacenters
  node_pool   = var.node_pool

  dynamic "constraint" {
    for_each = length(var.nodes) == 0 ? [] : [join(",", var.nodes)]
    content {
      attribute = "${node.unique.name}"
      operator  = "set_contains_any"
      value     = constraint.value
    }
  }

  # A new version replaces servers one by one, and the old one comes back when the new one is not well.
  update {
    max_parallel      = 1
    min_healthy_time  = "10s"
    healthy_deadline  = "15m" # weights are large
    progress_deadline = "20m"
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
      port     = "http"
      provider = var.provider
      tags     = concat(["soundstage", "llm-expert"], [for topic in compact(split(" ", replace(var.topics, ",", " "))) : "topic=${topic}"])

      # Nomad's own registry has no meta.
      dynamic "meta" {
        for_each = var.provider == "consul" ? [1] : []
        content {
          model = var.model
          path  = var.path
        }
      }

      # While weights are loaded llama-server answers 503: it runs and is asked by nobody yet.
      check {
        name     = "answers"
        type     = "http"
        path     = var.health_path
        interval = "5s"
        timeout  = "3s"

        check_restart {
          limit = 6
          grace = "10m"
        }
      }
    }

    task "serve" {
      driver       = var.driver
      kill_signal  = "SIGTERM"
      kill_timeout = "15s"

      config {
        command = var.command
        args = length(var.args) > 0 ? var.args : concat(
          [
            "--host", "${NOMAD_IP_http}", "--port", "${NOMAD_PORT_http}",
            "--model", var.model_file, "--alias", var.model,
            "--ctx-size", "${var.context_tokens}", "--parallel", "${var.parallel}",
            # Without a card and without a pool there is nothing to put layers on.
            "--n-gpu-layers", var.gpus > 0 || var.rpc_service != "" ? "999" : "0",
            "--jinja", "--no-webui", # tool calls need the model's own template
          ],
          var.api_key ? ["--api-key-file", "${NOMAD_SECRETS_DIR}/api_key"] : [],
          var.extra_args,
        )
      }

      env {
        HOST = "${NOMAD_IP_http}"
        PORT = "${NOMAD_PORT_http}"
      }

      dynamic "template" {
        for_each = var.api_key ? [1] : []
        content {
          destination = "${NOMAD_SECRETS_DIR}/api_key"
          perms       = "0400"
          change_mode = "restart"
          data        = "{{ with nomadVar \"nomad/jobs/${var.id}\" }}{{ .api_key }}{{ end }}"
        }
      }

      # Who is in the pool. When that changes, the model is shared out anew.
      dynamic "template" {
        for_each = var.rpc_service == "" ? [] : [var.provider == "consul" ? "service" : "nomadService"]
        iterator = registry
        content {
          destination = "local/pool.env"
          env         = true
          change_mode = "restart"
          splay       = "10s"
          data        = <<-POOL
            {{- with ${registry.value} "${var.rpc_service}" }}
            LLAMA_ARG_RPC={{ range $place, $one := . }}{{ if $place }},{{ end }}{{ $one.Address }}:{{ $one.Port }}{{ end }}
            {{- end }}
          POOL
        }
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
