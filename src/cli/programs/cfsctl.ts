/** Where `cfsctl` starts; bin/cfsctl runs it as one bundled file. */

import { main } from "../main.ts";

void main("cfsctl", () => import("../drop-ins/cfsctl/run.ts"));
