# Voice workers on the farm: they hear and speak for the people who talk to one studio (docs/guide/voice.md).
# A worker that ends, or whose node is drained, hands its sessions to another one; people hear a short pause.
#
#   nomad job run -var server_url=http://10.0.0.5:8000 -var workers=2 jobs/voice.nomad.hcl

variable "id" {
  type    = string
  default = "voice"
}

variable "server_url" {
  type        = string
  description = "The studio that they work for; of several machines of the studio each has workers of its own."
}

variable "command" {
  type        = string
  default     = "/opt/soundstage/control/bin/soundstage"
  description = "The soundstage program on the nodes, with the extra `voice`; the role voice_worker puts it there."
}

variable "program_volume" {
  type        = string
  default     = ""
  description = "A host volume with the program, for drivers that show tasks no /opt; it comes to /opt/soundstage, read-only."
}

variable "token_file" {
  type        = string
  default     = ""
  description = "A copy of voice-worker.token on the nodes, as the task sees the path. Empty: item `token` of the Nomad Variable nomad/jobs/<id>."
}

variable "workers" {
  type        = number
  default     = 1
  description = "How many; each serves several people."
}

variable "nodes" {
  type        = list(string)
  default     = []
  description = "Names of the nodes that have the program. Empty: any."
}

variable "volumes" {
  type        = map(string)
  default     = {}
  description = "More host volumes, read-only: by name, where each comes to in the task."
}

variable "env" {
  type        = map(string)
  default     = {}
  description = "Further SOUNDSTAGE_ settings. A job is no place for secrets: name files."
}

variable "driver" {
  type        = string
  default     = "exec"
  description = "exec; raw_exec where there are no cgroups."
}

variable "user" {
  type        = string
  default     = ""
  description = "Who it runs as; empty: as the driver has it. The token file is theirs."
}

variable "cpu" {
  type        = number
  default     = 1000
  description = "MHz; a second of speech takes about 0.15 s of a core."
}

variable "memory_mb" {
  type    = number
  default = 1024
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

variable "priority" {
  type        = number
  default     = 80
  description = "1 to 100. Above the videos: somebody waits for an answer."
}

job "voice" {
  id          = var.id
  name        = var.id
  type        = "service"
  namespace   = var.namespace
  datacenters = var.datacenters
  node_pool   = var.node_pool
  priority    = var.priority

  dynamic "constraint" {
    for_each = length(var.nodes) == 0 ? [] : [join(",", var.nodes)]
    content {
      attribute = "${node.unique.name}"
      operator  = "set_contains_any"
      value     = constraint.value
    }
  }

  spread {
    attribute = "${node.unique.name}"
  }

  # One after the other, so that the others take its sessions.
  update {
    max_parallel      = 1
    min_healthy_time  = "10s"
    healthy_deadline  = "2m"
    progress_deadline = "5m"
    auto_revert       = true
  }

  group "worker" {
    count = var.workers

    # On a drained node a worker ends when another one is well elsewhere.
    migrate {
      max_parallel     = 1
      health_check     = "task_states"
      min_healthy_time = "10s"
      healthy_deadline = "2m"
    }

    restart {
      attempts = 5
      interval = "5m"
      delay    = "2s"
      mode     = "fail"
    }

    reschedule {
      delay          = "5s"
      delay_function = "exponential"
      max_delay      = "5m"
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

    dynamic "volume" {
      for_each = var.volumes
      labels   = [volume.key]
      content {
        type      = "host"
        source    = volume.key
        read_only = true
      }
    }

    task "worker" {
      driver       = var.driver
      user         = var.user
      kill_signal  = "SIGTERM"
      kill_timeout = "10s"

      config {
        command = var.command
        args    = concat(["voice", "worker", "--server-url", var.server_url], var.token_file == "" ? [] : ["--token-file", var.token_file])
        # Nomad leaves isolated tasks rights of root that this one has no use for, such as to read every file.
        cap_drop = var.driver == "exec" ? ["all"] : null
      }

      env = merge({
        HOME                 = "${NOMAD_TASK_DIR}"
        SOUNDSTAGE_STATE_DIR = "${NOMAD_TASK_DIR}/state"
      }, var.env)

      # Read by Nomad: a file of mode 0400 would be root's.
      dynamic "template" {
        for_each = var.token_file == "" ? ["token"] : []
        iterator = item
        content {
          destination = "${NOMAD_SECRETS_DIR}/token.env"
          perms       = "0400"
          env         = true
          change_mode = "restart"
          data        = "SOUNDSTAGE_VOICE_WORKER_TOKEN={{ with nomadVar \"nomad/jobs/${var.id}\" }}{{ index . \"${item.value}\" }}{{ end }}\n"
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

      dynamic "volume_mount" {
        for_each = var.volumes
        content {
          volume      = volume_mount.key
          destination = volume_mount.value
          read_only   = true
        }
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
