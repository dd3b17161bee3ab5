"""Signatures under audits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from jupyter_server.auth.decorator import authorized
from tornado import web

from opspawn_jupyter.audit.workspace import sha256_of
from opspawn_jupyter.model.run_directory import RunDirectory
from opspawn_jupyter.model.signature import Signature, SignatureList, SignRequest
from opspawn_jupyter.orchestrator.signature import Report, require_signable, sign, signatures
from opspawn_jupyter.server import run_files
from opspawn_jupyter.server.handlers.bundle import needing_extra
from opspawn_jupyter.server.handlers.task import TaskHandler


class TaskSignaturesHandler(TaskHandler):
    """What people have signed under an audit."""

    @web.authenticated
    @authorized
    async def get(self, reference: str) -> None:
        """Give all."""
        task = await self.find_task(reference)
        found = await signatures(await self.orchestration(), task)
        await self.answer(SignatureList(signatures=found))

    @web.authenticated
    @authorized
    async def post(self, reference: str) -> None:
        """Take one, from whoever asks."""
        task, request = await self.find_task(reference), await self.body(SignRequest)
        require_signable(task)
        o, directory = await self.orchestration(), await self.run_directory(task)
        report = await asyncio.to_thread(_report, directory, o.settings.state_directory)
        given = await sign(o, task, request, self.caller, report)
        await self.answer(given, HTTPStatus.CREATED)


class _Seal:
    def __init__(self, state_directory: Path) -> None:
        self._approval, signing = needing_extra("approval", "signing")
        self._key = signing.key_in(state_directory)

    def __call__(self, signature: Signature) -> Mapping[str, Any]:
        sealed: Mapping[str, Any] = self._approval.sealed(signature, self._key)
        return sealed


def _report(directory: RunDirectory, state_directory: Path) -> Report:
    path = run_files.regular_file(directory.artifacts, "report.json")
    report = json.loads(path.read_bytes())
    return Report(
        sha256=sha256_of(path),
        source_sha256=report["source_sha256"],
        headline=report["headline"],
        seal=_Seal(state_directory),
    )
