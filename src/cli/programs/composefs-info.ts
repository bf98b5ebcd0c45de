/** Where `composefs-info` starts; bin/composefs-info runs it as one bundled file. */

import { main } from "../main.ts";

void main("composefs-info", () => import("../drop-ins/composefs-info.ts"));
