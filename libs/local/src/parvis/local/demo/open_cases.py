"""Leaves ten open cases on the desk, on all channels: late, dangerous, undelivered, unreadable and ordinary ones."""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from parvis.common.contract.errors import Unavailable
from parvis.local.citizen_client import Citizens
from parvis.local.demo.agents import DemoAgents
from parvis.local.letter import BIRTH_CERTIFICATE, make_scan

COUNT = 10
PATIENCE_S = 120.0
# The simulated network accepts what is sent to this number, and reports it as not delivered.
_DEAD_NUMBER = "+33639989903"
_LAMP = "Bonjour, le lampadaire devant le 7 rue des Acacias est éteint depuis lundi."
_LATE_BY = timedelta(days=30)


@dataclass(frozen=True)
class OpenCases:
    """Writes to the town without being answered.

    Shape: `house` is a number that differs from run to run; the notifier limits messages per address and day.
    """

    citizens: Citizens
    agents: DemoAgents
    departments: tuple[str, ...]
    house: int

    async def leave(self) -> dict[str, int]:
        """Write the ten messages, and wait until all are on the desk. Gives the number of open cases of each department.

        Retry: a town that has them from an earlier demo is not given ten more.
        Raises: Unavailable.
        """
        before = await self._count()
        if sum(before.values()) >= COUNT:
            return before
        await self._write_letters()
        await self._write_messages()
        await self._fill_in_forms()
        await self._visit_and_call()
        await self._answer_a_dead_number()
        ends_at = time.monotonic() + PATIENCE_S
        wanted = sum(before.values()) + COUNT
        while sum((counts := await self._count()).values()) < wanted:
            if time.monotonic() > ends_at:
                raise Unavailable(f"fewer than {wanted} cases are open after {PATIENCE_S:.0f} s; see var/log")
            await asyncio.sleep(0.3)
        return counts

    async def _write_letters(self) -> None:
        """One letter lay for a month; of the other one no word can be read."""
        arrived = datetime.now(UTC) - _LATE_BY
        name = f"courrier-{self.house:03d}"
        self.citizens.drop(json.dumps({"received_at": arrived.date().isoformat()}).encode(), f"{name}.json")
        sender = ("M. Firmin EXEMPLE", f"{self.house} chemin du Vieux-Lavoir", "00100 VAL-EXEMPLE")
        letter = replace(BIRTH_CERTIFICATE, sender=sender, signature="Firmin Exemple")
        self.citizens.drop(
            await asyncio.to_thread(make_scan, letter, angle=-0.5, noise=10, seed=self.house), f"{name}.pdf"
        )
        scan = await asyncio.to_thread(make_scan, letter, angle=4, noise=126, dpi=60, seed=self.house + 1)
        self.citizens.drop(scan, f"courrier-{self.house:03d}-illisible.pdf")

    async def _write_messages(self) -> None:
        danger = "Vite ! Un câble électrique pend au-dessus du trottoir, rue des Lilas, devant l’école."
        await self.citizens.text(f"+33639982{self.house:03d}", danger)
        await self.citizens.text(_DEAD_NUMBER, _LAMP)
        sofa = "Bonjour, j’ai un canapé à faire enlever, quand passent les encombrants ? Merci"
        await self.citizens.text(f"whatsapp:+33639983{self.house:03d}", sofa)
        mail = (
            "Bonjour,\n\nNous nous marions en juin. Il me faut un extrait de mon acte de naissance : "
            "je suis née à Val-Exemple le 3 mai 1994.\n\nBien cordialement,\nInès Exemple\n"
        )
        await self.citizens.mail(
            f"ines.exemple.{self.house}@citizen.example", "Extrait d’acte de naissance pour un mariage", mail,
            message_id=f"<demo-mariage-{self.house}-{time.time_ns():x}@citizen.example>",
        )  # fmt: skip

    async def _fill_in_forms(self) -> None:
        certificate = {
            "copy_kind": "full-copy", "person_name": "Exemple Basile", "birth_date": "1987-11-02",
            "parents": "Odile et Gaspard Exemple", "relation": "self", "your-name": "Basile Exemple",
        }  # fmt: skip
        sign = {
            "problem": "sign", "place": "3 place du Marché", "details": "Le panneau « stop » est couché depuis l’orage.", "your-name": "Une voisine",
        }  # fmt: skip
        for procedure, answers, mail in (
            ("birth-certificate", certificate, f"basile.exemple.{self.house}@citizen.example"),
            ("road-report", sign, f"une.voisine.{self.house}@citizen.example"),
        ):
            form = await self.citizens.open_form(procedure)
            answer = await form.send(answers | {"reply-channel": "email", "reply-email": mail})
            if answer.status_code != 303:
                raise Unavailable(f"the form {procedure} was refused with status {answer.status_code}")

    async def _visit_and_call(self) -> None:
        await self.agents.receive_at_the_counter(
            "etat-civil", "Il a perdu son livret de famille et demande un duplicata. Il repasse jeudi avec sa pièce d’identité.",
            subject="Duplicata du livret de famille", name="Honoré Exemple", phone=f"+33639984{self.house:03d}",
            reply_channel="phone",
        )  # fmt: skip
        await self.agents.receive_at_the_counter(
            "social-ccas", "Sa mère, 84 ans, vit seule. Elle voudrait une aide pour les repas et demande un rendez-vous.",
            channel="phone", subject="Portage de repas à domicile", name="Une fille inquiète",
            phone=f"+33639985{self.house:03d}", reply_channel="phone",
        )  # fmt: skip

    async def _answer_a_dead_number(self) -> None:
        """An agent answers the one whose telephone cannot be reached: the case comes back to the queue as undelivered."""
        case = await self._await_case(lambda found: found["channel"] == "sms", department="voirie")
        text = "Bonjour, l’ampoule sera changée demain matin. Merci de nous avoir prévenus."
        await self.agents.answer(case["conversation_id"], case["department"], text)
        conversation = case["conversation_id"]
        await self._await_case(
            lambda found: found["conversation_id"] == conversation and found["undelivered"], department="voirie"
        )

    async def _await_case(self, is_it: Callable[[dict[str, Any]], bool], *, department: str) -> dict[str, Any]:
        ends_at = time.monotonic() + PATIENCE_S
        while time.monotonic() < ends_at:
            if found := next(filter(is_it, await self.agents.cases(department)), None):
                return found
            await asyncio.sleep(0.3)
        raise Unavailable(f"a case is not on the desk after {PATIENCE_S:.0f} s; see var/log")

    async def _count(self) -> dict[str, int]:
        counts = {department: len(await self.agents.cases(department)) for department in self.departments}
        return {department: count for department, count in counts.items() if count}
