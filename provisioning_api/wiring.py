"""The services of this room, built once by the composition root; routes reach them through `reach`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from policy.audit.head import HeadFile
from policy.audit.watch import AuditWatch
from provisioning_api import stalled
from provisioning_api.announcements.service import AnnouncementService, BmcAnnouncer
from provisioning_api.artefacts.service import ArtefactService
from provisioning_api.audit import refusals as refusals_module
from provisioning_api.audit.refusals import RefusalLog
from provisioning_api.audit.service import AuditLog
from provisioning_api.boot.scripts import Places
from provisioning_api.boot.service import BootService
from provisioning_api.callhome.service import CallHomeService
from provisioning_api.certificates import expiry
from provisioning_api.certificates.expiry import Expiry
from provisioning_api.certificates.issuer import MembershipIssuer, MembershipTerms
from provisioning_api.certificates.key_folder import KeyFolder
from provisioning_api.certificates.renewal import Renewal
from provisioning_api.certificates.revocations import Revocations
from provisioning_api.certificates.ssh_authority import SshAuthority
from provisioning_api.certificates.tls_authority import TlsAuthority
from provisioning_api.commands.service import CommandService
from provisioning_api.decommission.service import Decommission
from provisioning_api.engines.consul import consul_tokens
from provisioning_api.engines.node_facts import NodeObserver
from provisioning_api.engines.nomad import NomadNodes, nomad_engine
from provisioning_api.enrolment import engine_identities
from provisioning_api.enrolment.challenges import Challenges
from provisioning_api.enrolment.engine_identities import EngineIdentities
from provisioning_api.enrolment.proofs import Proofs
from provisioning_api.enrolment.ramdisks import RamdiskService
from provisioning_api.enrolment.service import EnrolmentService
from provisioning_api.healing import driver as healing_driver
from provisioning_api.healing.driver import HealingDriver
from provisioning_api.healing.journal import HealingJournal
from provisioning_api.healing.reinstallation import Reinstallation
from provisioning_api.healing.service import HealingService
from provisioning_api.healing.spares import Spares
from provisioning_api.intake import Intake
from provisioning_api.inventory.service import InventoryService
from provisioning_api.machines import waiting_list as waiting_list_module
from provisioning_api.machines.journal import MachineJournal
from provisioning_api.machines.service import MachineService
from provisioning_api.machines.states import MachineState
from provisioning_api.machines.waiting_list import WaitingList
from provisioning_api.power.service import PowerService
from provisioning_api.readiness import POLL_S, Readiness
from provisioning_api.reports.service import ReportService
from provisioning_api.restored import Restored
from provisioning_api.rules.service import RuleService
from provisioning_api.runs.driver import RunDriver
from provisioning_api.runs.ending import RunEnding
from provisioning_api.runs.folder import RunFolders, RunTerms
from provisioning_api.runs.journal import RunJournal
from provisioning_api.runs.reading import RunReader
from provisioning_api.runs.service import RunService
from provisioning_api.stalled import Stalled
from provisioning_api.throttling import RequestLimits
from provisioning_api.timeline.service import TimelineService
from soundstage.background import ItemWorker, Poll, Worker
from soundstage.database import Database
from soundstage.events import EventStore
from soundstage.http import Destinations, own_listeners
from soundstage.http.addresses import networks_of
from soundstage.sealing import Sealer
from soundstage.settings import Settings


@dataclass(frozen=True, slots=True)
class Provisioning:
    """`working` starts and ends what runs by itself; the services need no start."""

    db: Database
    events: EventStore
    audit: AuditLog
    refusals: RefusalLog
    request_limits: RequestLimits
    ssh: SshAuthority
    tls: TlsAuthority
    sealer: Sealer
    machines: MachineService
    announcements: AnnouncementService
    bmc_announcer: BmcAnnouncer
    rules: RuleService
    enrolments: EnrolmentService
    renewal: Renewal
    revocations: Revocations
    intake: Intake
    ramdisks: RamdiskService
    callhome: CallHomeService
    inventory: InventoryService
    runs: RunService
    driver: RunDriver
    places: Places
    artefacts: ArtefactService
    boot: BootService
    timeline: TimelineService
    reports: ReportService
    decommission: Decommission
    commands: CommandService
    power: PowerService
    restored: Restored
    healing: HealingService
    workers: tuple[Worker, ...]

    def make_keys(self) -> None:
        """Makes what is missing of the private keys. All at once: a copy of the folder for another machine of
        the same database is whole then. Raises Unavailable when they can be neither read nor made.
        """
        self.audit.make_key()
        self.sealer.make_key()
        _ = self.tls.certificate, self.ssh.host_ca_public_key, self.ssh.user_ca_public_key
        _ = self.artefacts.public_key

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Adds missing default rules, and runs all background work until it ends."""
        await self.rules.ensure_default_rules()
        await self.driver.start(self.runs)
        try:
            await self.inventory.start()
            for worker in self.workers:
                await worker.start()
            yield
        finally:
            for worker in self.workers:
                await worker.close()
            await self.refusals.close()
            await self.driver.close()
            await self.inventory.close()


def build_provisioning(settings: Settings, db: Database, events: EventStore) -> Provisioning:
    """Makes what is missing of the private keys; opens no connection and starts nothing."""
    chosen = settings.provisioning
    state = settings.state_dir.absolute()
    folder = state / "provisioning"
    keys = KeyFolder(folder / "keys", settings.sealing)
    ssh, tls = SshAuthority(keys), TlsAuthority(keys)
    audit = AuditLog(db, HeadFile(folder, folder / "keys", settings.sealing))
    refusals = RefusalLog(audit)
    journal, run_journal = MachineJournal(events, audit), RunJournal(events)
    revocations = Revocations(db, ssh, tls)
    project = settings.playbooks_folder
    folders = RunFolders(
        folder / "runs",
        ssh,
        RunTerms(
            project_dir=project,
            ansible_bin=ansible_bin(settings, project),
            ssh_user=chosen.ssh_user,
            forks=chosen.run_forks,
            timeout_s=chosen.run_timeout_s,
        ),
    )
    engine = nomad_engine(settings)
    nomad = None if engine is None else NomadNodes(engine)
    # Without Nomad's word a run that went well is all that there is to wait for.
    asks_nomad = chosen.nomad_ready and nomad is not None
    ready = MachineState.CONFIGURING if asks_nomad else MachineState.READY
    driver = RunDriver(
        db,
        run_journal,
        journal,
        folders,
        ssh,
        RunReader(db, run_journal),
        RunEnding(db, run_journal, journal, state / "TODO.md", ready=ready),
        revocations,
        at_once=chosen.runs_at_once,
        timeout_s=chosen.run_timeout_s,
        max_stored=chosen.runs_kept,
        user=chosen.ssh_user,
        lock=db.leader_lock("runs", folder),
    )
    runs = RunService(db, run_journal, audit, project_dir=project, playbook=chosen.playbook, wake=driver.wake)
    machines = MachineService(db, journal)
    rules = RuleService(db, audit)
    sealer = Sealer(folder / "keys", settings.sealing)
    terms = MembershipTerms(
        lifetime=timedelta(days=chosen.certificate_days),
        region=chosen.region,
        datacenter=chosen.datacenter,
        ssh_user=chosen.ssh_user,
        gossip_key_file=chosen.consul_gossip_key_file,
    )
    members, challenges = MembershipIssuer(ssh, tls, terms), Challenges(keys.secret("challenge.key"))
    engines = EngineIdentities(db, journal, nomad, consul_tokens(settings))
    enrolments = EnrolmentService(
        db, journal, refusals, members, engines, timedelta(minutes=chosen.token_minutes)
    )
    announcements = AnnouncementService(db, audit, sealer)
    limits = RequestLimits.of(chosen)
    waiting_list = WaitingList(
        db, journal, limits.new_machines, maximum=chosen.discovered_max, days=chosen.discovered_days
    )
    intake = Intake(
        db, journal, machines, rules, enrolments, Proofs(announcements), waiting_list, refusals,
        max_reports=chosen.hardware_reports,
    )  # fmt: skip
    ramdisks = RamdiskService(db, intake, enrolments, challenges)
    timeline = TimelineService(db, events)
    artefacts = ArtefactService(settings.artefacts_folder, keys, audit)

    def leader_worker(name: str, poll: Poll, poll_s: float) -> Worker:
        return Worker(name, poll, poll_s=poll_s, lock=db.leader_lock(name.replace(" ", "-"), folder))

    ended_tokens = leader_worker("ended tokens", engines.withdraw, engine_identities.POLL_S)
    workers: list[Worker] = [
        ended_tokens,
        leader_worker("stalled machines", Stalled(db, journal).look, stalled.POLL_S),
        leader_worker("machines that wait", waiting_list.look, waiting_list_module.POLL_S),
        leader_worker("certificates", Expiry(db, journal, terms.lifetime).look, expiry.POLL_S),
        # Of this process alone: they were refused here.
        Worker("repeated refusals", refusals.flush, poll_s=refusals_module.POLL_S),
        AuditWatch(audit.verify).worker,
    ]
    if asks_nomad and nomad is not None:
        workers.append(leader_worker("readiness", Readiness(db, journal, nomad, timeline).look, POLL_S))
    decommission = Decommission(db, journal, machines, enrolments, nomad, ended_tokens.wake)
    power = PowerService(db, journal, sealer, power_destinations(settings))
    healing_journal = HealingJournal(events)
    reinstallation = Reinstallation(db, healing_journal, machines, enrolments)
    healing = HealingService(db, healing_journal, journal, reinstallation, wake=lambda: None)
    if engine is not None and settings.provisioning.healing.level != "off":
        observer = NodeObserver(engine)
        healer = HealingDriver(
            db,
            healing_journal,
            observer,
            power,
            reinstallation,
            Spares(db, healing_journal, observer),
            settings.provisioning.healing,
            healing_driver.POLL_S,
        )
        healing_worker = ItemWorker(
            "healing",
            healer.due,
            healer.step,
            # One after the other: limits are counted before each step.
            max_active=1,
            poll_s=healing_driver.POLL_S,
            lock=db.leader_lock("healing", folder),
            bring_forward=healer.bring_forward,
        )
        healing.wake = healing_worker.wake
        workers.append(healing_worker)
    return Provisioning(
        db=db,
        events=events,
        audit=audit,
        refusals=refusals,
        request_limits=limits,
        ssh=ssh,
        tls=tls,
        sealer=sealer,
        machines=machines,
        rules=rules,
        enrolments=enrolments,
        renewal=Renewal(db, journal, members, challenges),
        revocations=revocations,
        intake=intake,
        ramdisks=ramdisks,
        callhome=CallHomeService(db, intake, journal, machines, rules, runs),
        inventory=InventoryService(db, events, ssh, settings.inventory_path, chosen.ssh_user),
        runs=runs,
        driver=driver,
        places=Places(
            None if chosen.public_url is None else str(chosen.public_url), settings.provisioning_tls_port
        ),
        artefacts=artefacts,
        boot=BootService(db, journal, artefacts, ramdisks, timeline),
        timeline=timeline,
        reports=ReportService(db, ramdisks, journal, timeline, decommission),
        decommission=decommission,
        commands=CommandService(
            db,
            audit,
            ssh,
            user=chosen.ssh_user,
            timeout_s=chosen.command_timeout_s,
            output_kib=chosen.command_output_kib,
        ),
        restored=Restored(db, events, journal, audit, enrolments),
        workers=tuple(workers),
        power=power,
        healing=healing,
        announcements=announcements,
        bmc_announcer=BmcAnnouncer(announcements, power_destinations(settings)),
    )


def power_destinations(settings: Settings) -> Destinations:
    """Returns the allowed destinations of BMCs and power webhooks; few BMCs have a certificate, so plain
    HTTP is allowed.
    """
    networks = networks_of(settings.provisioning.power_networks)
    setting = "provisioning.power_networks"
    return Destinations(
        own_listeners(settings, provisioning=True),
        networks,
        plain_http=True,
        loopback_setting=setting,
        private_setting=setting,
    )


def ansible_bin(settings: Settings, project: Path) -> Path | None:
    """Returns the folder of `ansible-playbook`; None when PATH decides."""
    if settings.provisioning.ansible_bin is not None:
        return settings.provisioning.ansible_bin.absolute()
    beside = project / "ansible" / ".venv" / "bin"
    return beside if (beside / "ansible-playbook").exists() else None
