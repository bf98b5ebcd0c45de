/** Times as RFC 3339 writes them and Go's JSON has them: `2026-11-28T00:45:43.489342999Z`. */

import type { Timestamp } from "../tree/node.ts";

const SECONDS_PER_DAY = 86_400n;
const PATTERN =
  /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,32}))?(?:[Zz]|([+-])(\d\d):(\d\d))$/;

/** Parses a time; digits below the nanosecond are cut off. `undefined` for anything else. */
export function parseRfc3339(text: string): Timestamp | undefined {
  const match = PATTERN.exec(text);
  if (match === null) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number);
  const [zoneHour, zoneMinute] = [Number(match[9] ?? 0), Number(match[10] ?? 0)];
  const days = daysFromCivil(year!, month!, day!);
  if (days === undefined || hour! > 23 || minute! > 59 || second! > 59) return undefined;
  if (zoneHour > 23 || zoneMinute > 59) return undefined;
  const zone = (zoneHour * 60 + zoneMinute) * (match[8] === "-" ? -60 : 60);
  const inDay = (hour! * 60 + minute!) * 60 + second! - zone;
  return {
    sec: BigInt(days) * SECONDS_PER_DAY + BigInt(inDay),
    nsec: Number((match[7] ?? "").slice(0, 9).padEnd(9, "0")),
  };
}

/** Formats a time in UTC without zeros at the end; `undefined` for years before 0 and after 9999. */
export function formatRfc3339({ sec, nsec }: Timestamp): string | undefined {
  if (sec < -62_167_219_200n || sec > 253_402_300_799n) return undefined;
  const seconds = Number(sec);
  const days = Math.floor(seconds / 86_400);
  const inDay = seconds - days * 86_400;
  const { year, month, day } = civilFromDays(days);
  const two = (value: number): string => String(value).padStart(2, "0");
  const date = `${String(year).padStart(4, "0")}-${two(month)}-${two(day)}`;
  const time = [Math.floor(inDay / 3600), Math.floor(inDay / 60) % 60, inDay % 60]
    .map(two)
    .join(":");
  const fraction = nsec === 0 ? "" : `.${String(nsec).padStart(9, "0").replace(/0+$/, "")}`;
  return `${date}T${time}${fraction}Z`;
}

/** Days since 1970-01-01 in the Gregorian calendar; a year begins in March here, so that a leap day ends it. */
function daysFromCivil(year: number, month: number, day: number): number | undefined {
  const shifted = month > 2 ? year : year - 1;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const leapDays = Math.floor(shifted / 4) - Math.floor(shifted / 100) + Math.floor(shifted / 400);
  const days = shifted * 365 + leapDays + dayOfYear - 719_468;
  if (month < 1 || month > 12 || day < 1) return undefined;
  const back = civilFromDays(days);
  return back.month === month && back.day === day ? days : undefined;
}

function civilFromDays(days: number): { year: number; month: number; day: number } {
  const shifted = days + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  );
  const dayOfYear =
    dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1;
  const month = shiftedMonth + (shiftedMonth < 10 ? 3 : -9);
  return { year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day };
}
