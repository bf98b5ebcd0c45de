/** Where `composefs-dump` starts; bin/composefs-dump runs it as one bundled file. */

import { main } from "../main.ts";

void main("composefs-dump", () => import("../drop-ins/composefs-dump.ts"));
