# The agent on the farm: `soundstage up` as a service of Nomad, beside or instead of a service of systemd.
# Its state lies on one node, and so does the job; docs/guide/nomad.md says what has to lie there.
#
#   nomad job run -var node=control-1 jobs/agent.nomad.hcl

variable "id" {
  type    = string
  default = "agent"
}

variable "command" {
  type        = string
  default     = "/opt/soundstage/control/bin/soundstage"
  description = "The soundstage program on the node."
}

variable "config_file" {
  type        = string
  default     = "/etc/soundstage/agent.toml"
  description = "Its settings on the node, as the task sees the path. Empty: settings come from `env` alone."
}

variable "state_dir" {
  type        = string
  default     = "/var/lib/soundstage"
  description = "Where it keeps its database and files, as the task sees the path."
}

variable "program_volume" {
  type        = string
  default     = ""
  description = "A host volume with the program, for drivers that show tasks no /opt; it comes to /opt/soundstage, read-only."
}

variable "config_volume" {
  type        = string
  default     = ""
  description = "A host volume with the settings and key files; it comes to /etc/soundstage, read-only."
}

variable "state_volume" {
  type        = string
  default     = ""
  description = "A host volume for the state; it comes to `state_dir`."
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

variable "secrets" {
  type        = list(string)
  default     = []
  description = "Items of the Nomad Variable nomad/jobs/<id> that become files of that name in the task's secrets folder."
}

variable "provisioning" {
  type        = bool
  default     = false
  description = "Serve the provisioning of machines as well, on ports that the settings name; else provisioning.api_url says where it is."
}

variable "port" {
  type        = number
  default     = 8000
  description = "0 takes a free one."
}

variable "tls_port" {
  type        = number
  default     = 0
  description = "Another port with https, for people on other machines: their keys are refused over plain HTTP. 0: none."
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

variable "user" {
  type        = string
  default     = ""
  description = "Who it runs as; empty: as the driver has it. The state folder is theirs."
}

variable "node" {
  type        = string
  default     = ""
  description = "Name of the node. Needed where several have such folders: the state does not move."
}

variable "nodes" {
  type        = list(string)
  default     = []
  description = "Names of the nodes, one process on each: they share a database and a bucket, which the settings name. Empty: one, on `node`."
}

variable "cpu" {
  type        = number
  default     = 1000
  description = "MHz."
}

variable "memory_mb" {
  type    = number
  default = 1536
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
  description = "1 to 100. Above the videos: they are what it starts."
}

job "agent" {
  id          = var.id
  name        = var.id
  type        = "service"
  namespace   = var.namespace
  datacenters = var.datacenters
  node_pool   = var.node_pool
  priority    = var.priority

  dynamic "constraint" {
    for_each = var.node == "" ? [] : [var.node]
    content {
      attribute = "${node.unique.name}"
      value     = constraint.value
    }
  }

  dynamic "constraint" {
    for_each = length(var.nodes) == 0 ? [] : [join(",", var.nodes)]
    content {
      attribute = "${node.unique.name}"
      operator  = "set_contains_any"
      value     = constraint.value
    }
  }

  dynamic "constraint" {
    for_each = length(var.nodes) > 1 ? ["true"] : []
    content {
      operator = "distinct_hosts"
      value    = constraint.value
    }
  }

  # One node after the other: a new version begins there when the old one has ended; the old one comes back when the new one is not well.
  update {
    max_parallel      = 1
    min_healthy_time  = "5s"
    healthy_deadline  = "5m"
    progress_deadline = "10m"
    auto_revert       = true
  }

  group "server" {
    count = max(1, length(var.nodes))

    network {
      port "http" {
        static = var.port
      }
      dynamic "port" {
        for_each = var.tls_port == 0 ? [] : [var.tls_port]
        labels   = ["https"]
        content {
          static = port.value
        }
      }
    }

    # It has nowhere else to go, so it is tried again for ever.
    restart {
      attempts = 5
      interval = "5m"
      delay    = "5s"
      mode     = "delay"
    }

    reschedule {
      attempts  = 0
      unlimited = false
    }

    # A node that Nomad does not hear keeps its agent; two on one state would be worse than none.
    disconnect {
      lost_after = "24h"
      replace    = false
      reconcile  = "keep_original"
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
      for_each = var.config_volume == "" ? [] : [var.config_volume]
      labels   = ["config"]
      iterator = named
      content {
        type      = "host"
        source    = named.value
        read_only = true
      }
    }

    dynamic "volume" {
      for_each = var.state_volume == "" ? [] : [var.state_volume]
      labels   = ["state"]
      iterator = named
      content {
        type   = "host"
        source = named.value
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

    service {
      name     = var.id
      port     = "http"
      provider = var.provider
      tags     = ["soundstage", "agent"]

      check {
        name     = "answers"
        type     = "http"
        path     = "/api/health"
        interval = "5s"
        timeout  = "5s"

        check_restart {
          limit = 6
          grace = "2m"
        }
      }
    }

    task "up" {
      driver      = var.driver
      user        = var.user
      kill_signal = "SIGTERM"
      # Open requests get their time; Nomad's clients allow no more than this unless they are told to.
      kill_timeout = "30s"

      config {
        command = var.command
        args    = concat(var.config_file == "" ? [] : ["--config-file", var.config_file], ["up"])
        # Nomad leaves isolated tasks rights of root that this one has no use for, such as to read every file. With
        # them bubblewrap would not start.
        cap_drop = var.driver == "exec" ? ["all"] : null
      }

      env = merge({
        HOME                             = var.state_dir
        SOUNDSTAGE_STATE_DIR             = var.state_dir
        SOUNDSTAGE_HTTP__HOST            = "${NOMAD_IP_http}"
        SOUNDSTAGE_HTTP__PORT            = "${NOMAD_PORT_http}"
        SOUNDSTAGE_PROVISIONING__ENABLED = var.provisioning ? "true" : "false"
        }, var.tls_port == 0 ? {} : {
        SOUNDSTAGE_HTTP__TLS      = "self"
        SOUNDSTAGE_HTTP__TLS_HOST = "${NOMAD_IP_http}"
        SOUNDSTAGE_HTTP__TLS_PORT = "${var.tls_port}"
      }, var.env)

      dynamic "template" {
        for_each = var.secrets
        iterator = item
        content {
          destination = "${NOMAD_SECRETS_DIR}/${item.value}"
          perms       = "0400"
          change_mode = "restart"
          data        = "{{ with nomadVar \"nomad/jobs/${var.id}\" }}{{ index . \"${item.value}\" }}{{ end }}"
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
        for_each = var.config_volume == "" ? [] : ["config"]
        content {
          volume      = volume_mount.value
          destination = "/etc/soundstage"
          read_only   = true
        }
      }

      dynamic "volume_mount" {
        for_each = var.state_volume == "" ? [] : ["state"]
        content {
          volume      = volume_mount.value
          destination = var.state_dir
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
