"""All tools of the agent, in the order in which help lists them."""

from agent.tools.auditing import audit
from agent.tools.cluster.jobs import change_job
from agent.tools.cluster.status import cluster_status, job_logs
from agent.tools.code_runner import code_runner
from agent.tools.machines.ansible import ansible
from agent.tools.machines.runs import cancel_run, show_runs
from agent.tools.machines.ssh import ssh
from agent.tools.machines.tools import change_machine, list_machines
from agent.tools.memory import memory
from agent.tools.personas.tools import create_persona, list_personas
from agent.tools.projects.editing import edit_project
from agent.tools.projects.scripts import write_script
from agent.tools.projects.tools import list_projects
from agent.tools.renders.publishing import publish_render
from agent.tools.renders.tools import cancel_render, list_renders, make_render, retry_render, show_render
from agent.tools.snapshots import snapshots
from agent.tools.toolset import AnyTool
from agent.tools.vision import vision

ALL_TOOLS: tuple[AnyTool, ...] = (
    make_render,
    list_renders,
    show_render,
    cancel_render,
    retry_render,
    publish_render,
    list_personas,
    create_persona,
    write_script,
    edit_project,
    list_projects,
    list_machines,
    change_machine,
    ansible,
    show_runs,
    cancel_run,
    cluster_status,
    job_logs,
    change_job,
    ssh,
    code_runner,
    vision,
    memory,
    snapshots,
    audit,
)
