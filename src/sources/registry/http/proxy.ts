/**
 * Which proxy to go through, by the environment.
 *
 * Source: golang.org/x/net/http/httpproxy, which podman and Docker follow: `HTTP_PROXY`, `HTTPS_PROXY`
 * and `NO_PROXY` in either case; this machine is always asked directly. Only `http://` proxies are known.
 */

import { BlockList, isIP } from "node:net";
import { ComposefsError } from "../../../core/errors.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** Returns the proxy for an address; `undefined` to ask directly. Throws `invalid-config`. */
export function chooseProxy(url: URL, environment: Environment): URL | undefined {
  const name = url.protocol === "https:" ? "HTTPS_PROXY" : "HTTP_PROXY";
  const told = variable(environment, name);
  if (told === undefined || isLocal(url) || isExcepted(url, environment)) return undefined;
  const text = told.includes("://") ? told : `http://${told}`;
  const proxy = URL.canParse(text) ? new URL(text) : undefined;
  if (proxy?.protocol === "http:" && proxy.hostname !== "") return proxy;
  // Not with its text: it may hold a password.
  throw new ComposefsError("invalid-config", `Cannot use ${name}: it is not an http:// address`);
}

/** The header that a proxy with a user in its address wants. */
export function proxyAuthorization(proxy: URL): Record<string, string> {
  if (proxy.username === "") return {};
  const pair = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
  return { "proxy-authorization": `Basic ${Buffer.from(pair).toString("base64")}` };
}

/** The host of an address, an IPv6 one without brackets. */
export function bareHost(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, "$1");
}

function variable(environment: Environment, name: string): string | undefined {
  const value = environment[name] ?? environment[name.toLowerCase()];
  return value === "" ? undefined : value;
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet("127.0.0.0", 8, "ipv4");
LOOPBACK.addAddress("::1", "ipv6");

function isLocal(url: URL): boolean {
  const host = bareHost(url);
  return host === "localhost" || isIn(LOOPBACK, host);
}

function isIn(list: BlockList, host: string): boolean {
  const version = isIP(host);
  return version !== 0 && list.check(host, version === 4 ? "ipv4" : "ipv6");
}

function isExcepted(url: URL, environment: Environment): boolean {
  const host = bareHost(url).toLowerCase();
  const port = url.port === "" ? (url.protocol === "https:" ? "443" : "80") : url.port;
  const entries = (variable(environment, "NO_PROXY") ?? "").toLowerCase().split(",");
  return entries.some((entry) => isMatch(entry.trim(), host, port));
}

/** `*`, a network, an address, a host with all below it, `.host` for those below it alone; with a port. */
function isMatch(entry: string, host: string, port: string): boolean {
  if (entry === "" || entry === "*") return entry === "*";
  const network = /^(?<address>[0-9a-f.:]+)\/(?<length>\d{1,3})$/.exec(entry)?.groups;
  if (network !== undefined) return isInNetwork(host, network["address"]!, network["length"]!);
  const match = /^(?<name>\[.*\]|[^:]*|[^:]*:[^:]*:.*?)(?::(?<port>\d+))?$/.exec(entry)?.groups;
  if (match?.["port"] !== undefined && match["port"] !== port) return false;
  const name = (match?.["name"] ?? entry).replace(/^\[(.*)\]$/, "$1").replace(/^\*(?=\.)/, "");
  if (name.startsWith(".")) return host.endsWith(name);
  return host === name || (isIP(host) === 0 && host.endsWith(`.${name}`));
}

function isInNetwork(host: string, address: string, length: string): boolean {
  const version = isIP(address);
  if (version === 0 || Number(length) > (version === 4 ? 32 : 128)) return false;
  const list = new BlockList();
  list.addSubnet(address, Number(length), version === 4 ? "ipv4" : "ipv6");
  return isIn(list, host);
}
