"""All tools of the agent, in the order in which help lists them."""

from agent.tools.ansible import ansible
from agent.tools.auditing import audit
from agent.tools.cluster import cluster_status, job_logs
from agent.tools.cluster_jobs import change_job
from agent.tools.code_runner import code_runner
from agent.tools.machines import change_machine, list_machines
from agent.tools.memory import memory
from agent.tools.personas import create_persona, list_personas
from agent.tools.projects import list_projects
from agent.tools.projects_editing import edit_project
from agent.tools.publishing import publish_render
from agent.tools.renders import cancel_render, list_renders, make_render, retry_render, show_render
from agent.tools.runs import cancel_run, show_runs
from agent.tools.scripts import write_script
from agent.tools.snapshots import snapshots
from agent.tools.ssh import ssh
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
