# One segment of a video as a Nomad batch job.
#
# People register it once and dispatch it by hand (docs/guide/nomad.md):
#   nomad job run jobs/render.nomad.hcl
#   nomad job dispatch render spec.json
#   (or a job of the older GPU worker: {"input": {"job_type": "lipsync_only", "image_url": ...}})
# The farm parses the same file with its own values and registers one job per segment, because a dispatch
# cannot change what a job asks of a node.

variable "id" {
  type        = string
  default     = "render"
  description = "Name of the job. The farm takes the segment's hash and attempt."
}

variable "by_hand" {
  type        = bool
  default     = true
  description = "A job to dispatch with a spec. The farm says false and gets a job that runs at once."
}

variable "engine" {
  type        = string
  default     = "cpu"
  description = "What draws the face; shown in the job's meta."
}

variable "gpus" {
  type        = number
  default     = 0
  description = "Cards (on a gpu-shared node: shares of 1 GiB of one card). 0 asks for none."
}

variable "vram_mib" {
  type        = number
  default     = 0
  description = "Least memory of each card."
}

variable "device" {
  type        = string
  default     = "nvidia/gpu"
  description = "What is asked for: vendor/type or vendor/type/model."
}

variable "card" {
  type        = string
  default     = ""
  description = "UUID of the card that fits best, as a wish."
}

variable "cpu" {
  type        = number
  default     = 1000
  description = "MHz."
}

variable "memory_mb" {
  type    = number
  default = 1024
}

variable "driver" {
  type        = string
  default     = "exec"
  description = "exec; raw_exec where there are no cgroups."
}

variable "command" {
  type        = string
  default     = "avatar"
  description = "The avatar program on the nodes, with its path."
}

variable "args" {
  type        = list(string)
  default     = []
  description = "Its arguments; by hand they make the dispatched spec into a video."
}

variable "networks" {
  type        = list(string)
  default     = []
  description = "By hand: from these networks too the files of a job may be fetched, beside public addresses."
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
  default     = 50
  description = "1 to 100; a higher one is placed sooner."
}

variable "node" {
  type        = string
  default     = ""
  description = "Id of the node that fits best, as a wish."
}

variable "avoid_nodes" {
  type        = list(string)
  default     = []
  description = "Ids of nodes on which this kind of work has failed."
}

variable "cache_volume" {
  type        = string
  default     = ""
  description = "A host volume that workers of a node share for their inputs; none, unless named."
}

variable "worker_volume" {
  type        = string
  default     = ""
  description = "A host volume with the worker and its weights, for drivers that show tasks no /opt; it comes to /opt/soundstage."
}

variable "models_folder" {
  type        = string
  default     = ""
  description = "Where the weights of engines on cards lie, as the task sees it; the worker looks into /opt/soundstage/models by itself."
}

variable "compute" {
  type        = number
  default     = 0
  description = "Least compute capability of each card, times ten (75: Turing); 0 for any. Only our device plugin tells it."
}

variable "kill_timeout" {
  type        = string
  default     = "10s"
  description = "How long a cancelled worker may clean up."
}

variable "retries" {
  type        = number
  default     = 0
  description = "New starts after a failure, each on up to as many nodes more. A spec that is broken fails each of them."
}

variable "traceparent" {
  type        = string
  default     = ""
  description = "The span that the worker's spans belong to (W3C Trace Context)."
}

variable "meta" {
  type    = map(string)
  default = {}
}

job "render" {
  id          = var.id
  name        = var.id
  type        = "batch"
  namespace   = var.namespace
  datacenters = var.datacenters
  node_pool   = var.node_pool
  priority    = var.priority
  meta        = merge({ engine = var.engine }, var.meta)

  dynamic "parameterized" {
    for_each = var.by_hand ? [1] : []
    content {
      payload       = "required"
      meta_optional = ["title"]
    }
  }

  dynamic "constraint" {
    for_each = var.avoid_nodes
    content {
      attribute = "${node.unique.id}"
      operator  = "!="
      value     = constraint.value
    }
  }

  dynamic "affinity" {
    for_each = var.node == "" ? [] : [var.node]
    content {
      attribute = "${node.unique.id}"
      value     = affinity.value
      weight    = 100
    }
  }

  group "worker" {
    count = 1

    restart {
      attempts = var.retries
      interval = "1h"
      delay    = "5s"
      mode     = "fail"
    }

    # A lost node is no fault of the segment: Nomad places it anew whatever this says.
    reschedule {
      attempts       = var.retries
      interval       = "1h"
      delay          = "5s"
      delay_function = "exponential"
      max_delay      = "5m"
      unlimited      = false
    }

    dynamic "volume" {
      for_each = var.cache_volume == "" ? [] : [var.cache_volume]
      labels   = ["cache"]
      iterator = named
      content {
        type   = "host"
        source = named.value
      }
    }

    dynamic "volume" {
      for_each = var.worker_volume == "" ? [] : [var.worker_volume]
      labels   = ["worker"]
      iterator = named
      content {
        type      = "host"
        source    = named.value
        read_only = true
      }
    }

    task "avatar" {
      driver       = var.driver
      kill_signal  = "SIGTERM"
      kill_timeout = var.kill_timeout

      config {
        command = var.command
        args = var.by_hand ? concat([
          "render", "${NOMAD_TASK_DIR}/spec.json", "${NOMAD_ALLOC_DIR}/data/video.mp4",
          "--cache", "${NOMAD_ALLOC_DIR}/cache", "--confined", "--json",
        ], flatten([for network in var.networks : ["--network", network]])) : var.args
      }

      env = merge(
        var.models_folder == "" ? {} : { AVATAR_MODELS = var.models_folder },
        var.traceparent == "" ? {} : { TRACEPARENT = var.traceparent },
      )

      dynamic "dispatch_payload" {
        for_each = var.by_hand ? [1] : []
        content {
          file = "spec.json"
        }
      }

      # The token of this one segment. It lies in a Nomad Variable that only this job may read, so that
      # neither the job nor the process list ever shows it.
      dynamic "template" {
        for_each = var.by_hand ? [] : [1]
        content {
          destination = "${NOMAD_SECRETS_DIR}/token"
          perms       = "0400"
          change_mode = "noop"
          # Asked first whether it is there: a node that comes back to a worker whose token is void by now
          # would wait for it, and hold its place, for ever.
          data = "{{ if nomadVarExists \"nomad/jobs/${var.id}\" }}{{ with nomadVar \"nomad/jobs/${var.id}\" }}{{ .token }}{{ end }}{{ end }}"
        }
      }

      dynamic "volume_mount" {
        for_each = var.cache_volume == "" ? [] : ["cache"]
        content {
          volume      = volume_mount.value
          destination = "/soundstage-cache"
        }
      }

      dynamic "volume_mount" {
        for_each = var.worker_volume == "" ? [] : ["worker"]
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

            dynamic "constraint" {
              for_each = var.compute > 0 ? [var.compute] : []
              iterator = least
              content {
                attribute = "${device.attr.compute_capability}"
                operator  = ">="
                value     = least.value
              }
            }

            # The smallest card that is enough, so that the large ones stay free for who needs them.
            affinity {
              attribute = "${device.attr.memory}"
              operator  = "<"
              value     = "${var.vram_mib * 2} MiB"
              weight    = 50
            }

            dynamic "affinity" {
              for_each = var.card == "" ? [] : [var.card]
              content {
                attribute = "${device.attr.uuid}"
                value     = affinity.value
                weight    = 100
              }
            }
          }
        }
      }

      logs {
        max_files     = 2
        max_file_size = 5
      }
    }
  }
}
