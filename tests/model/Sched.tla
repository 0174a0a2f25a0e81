------------------------------- MODULE Sched -------------------------------
(* Jobs on a few one-slot nodes that run ahead; a scheduler, a lossy and duplicating broker, partitions, agent crashes,
   reboots and unknown commit results. The database is one row set with atomic transitions.
   What is ahead of room (AHEAD) holds none and is no try: its node starts it by itself and tells of it afterwards.
   Each switch below turns one guard off; the names of the guards are those of docs/decisions/047-model.md. *)
EXTENDS Naturals, FiniteSets, TLC
CONSTANTS Nodes, Jobs, MaxTries, MaxSeq, MaxFaults,
  FENCE,        \* a report is taken only for the current attempt of a live execution row
  CLAIMCAS,     \* claim = compare-and-set QUEUED -> RUNNING
  SCHEDCAS,     \* placement re-checks job row and node room under lock at commit
  SELFFENCE,    \* a node is declared lost only after its own fence time has passed
  PURGE,        \* a node that was lost kills old executions before READY
  REAPFIRST,    \* an outcome is reported only when the process tree is empty
  CHARGESTART,  \* a try is charged when it starts, not when it is handed out
  STICKYCANCEL, \* report looks at the cancel flag in the same transaction
  BOOKS,        \* a node starts what is ahead only if its own books say that there is room
  LEASESTART,   \* a node starts nothing once its fence time has passed
  CLAIMFIRST,   \* nothing is handed out ahead while the node has unclaimed placements with room
  ALLROOM,      \* a placement with room needs room beside what is ahead, too
  ASKBACK,      \* only the node itself says that it did not start something
  JOURNAL,      \* a start is in the node's journal before anything of it is done
  CHARGELOST    \* what was ahead on a lost node counts as started

VARIABLES job, ex, plan, pend, wait, begun, proc, spool, nst, nep, aep, cut, stale, faults, starts, ghosts
vars == <<job, ex, plan, pend, wait, begun, proc, spool, nst, nep, aep, cut, stale, faults, starts, ghosts>>
Seqs == 1..MaxSeq
Alike == Permutations(Nodes) \cup Permutations(Jobs)
Term == {"COMPLETED", "FAILED", "CANCELED"}
NoEx == [st |-> "none", node |-> "-", ep |-> 0, rel |-> TRUE, ah |-> FALSE]
NoPlan == [on |-> FALSE, j |-> "-", node |-> "-", seq |-> 0, ah |-> FALSE]
Keys == Jobs \X Seqs
Row(k) == ex[k[1]][k[2]]
Held(n) == {k \in Keys : Row(k).node = n /\ ~Row(k).rel}
HoldsRoom(n) == {k \in Held(n) : Row(k).st = "RUNNING" \/ (Row(k).st = "QUEUED" /\ ~Row(k).ah)}
Live(k) == Row(k).st \in {"QUEUED", "AHEAD", "RUNNING"}
Quiet(j) == \A s \in Seqs : ex[j][s].rel
Talk(n) == ~cut[n]
Here(n, set) == {x \in set : x[1] = n}

Init == /\ job = [j \in Jobs |-> [st |-> "QUEUED", seq |-> 0, tries |-> 0, cancel |-> FALSE, res |-> 0]]
        /\ ex = [j \in Jobs |-> [s \in Seqs |-> NoEx]]
        /\ plan = NoPlan
        /\ pend = {} /\ wait = {} /\ begun = {} /\ proc = {} /\ spool = {}
        /\ nst = [n \in Nodes |-> "READY"] /\ nep = [n \in Nodes |-> 1] /\ aep = [n \in Nodes |-> 1]
        /\ cut = [n \in Nodes |-> FALSE] /\ stale = [n \in Nodes |-> FALSE]
        /\ faults = 0 /\ starts = [k \in Keys |-> 0] /\ ghosts = [j \in Jobs |-> 0]

Fits(n, ah) == nst[n] = "READY" /\ (ah \/ (IF ALLROOM THEN Held(n) = {} ELSE HoldsRoom(n) = {}))
Think == /\ ~plan.on
         /\ \E j \in Jobs, n \in Nodes, ah \in BOOLEAN :
              /\ job[j].st = "QUEUED" /\ job[j].seq < MaxSeq /\ job[j].tries < MaxTries /\ Quiet(j) /\ Fits(n, ah)
              /\ (ah => Held(n) # {})               \* ahead of room only where there is none
              /\ plan' = [on |-> TRUE, j |-> j, node |-> n, seq |-> job[j].seq, ah |-> ah]
         /\ UNCHANGED <<job, ex, pend, wait, begun, proc, spool, nst, nep, aep, cut, stale, faults, starts, ghosts>>
Place == /\ plan.on /\ plan' = NoPlan
         /\ LET j == plan.j n == plan.node
                ok == IF SCHEDCAS THEN job[j].st = "QUEUED" /\ job[j].seq = plan.seq /\ Quiet(j) /\ Fits(n, plan.ah)
                                  ELSE job[j].st \notin Term /\ job[j].seq < MaxSeq
            IN IF ok THEN /\ job' = [job EXCEPT ![j].st = "RUNNING", ![j].seq = @ + 1]
                          /\ ex' = [ex EXCEPT ![j][job[j].seq + 1] =
                                [st |-> "QUEUED", node |-> n, ep |-> nep[n], rel |-> FALSE, ah |-> plan.ah]]
                     ELSE UNCHANGED <<job, ex>>
         /\ UNCHANGED <<pend, wait, begun, proc, spool, nst, nep, aep, cut, stale, faults, starts, ghosts>>

(* a message, or the answer to any call, names a placement: any number of times *)
Claim(n, k) == /\ Talk(n) /\ Row(k).node = n /\ ~Row(k).ah /\ Row(k).st \in {"QUEUED", "RUNNING"}
               /\ IF CLAIMCAS THEN Row(k).st = "QUEUED" /\ Row(k).ep = aep[n] /\ ~job[k[1]].cancel ELSE k \notin {x[2] : x \in pend}
               /\ ex' = [ex EXCEPT ![k[1]][k[2]].st = "RUNNING"]
               /\ job' = IF Row(k).st = "QUEUED" THEN [job EXCEPT ![k[1]].tries = @ + 1] ELSE job
               /\ pend' = pend \cup {<<n, k>>}
               /\ UNCHANGED <<plan, wait, begun, proc, spool, nst, nep, aep, cut, stale, faults, starts, ghosts>>
HandOut(n, k) == /\ Talk(n) /\ Row(k).node = n /\ Row(k).ah /\ Row(k).st = "QUEUED" /\ Row(k).ep = aep[n] /\ ~job[k[1]].cancel
                 /\ (CLAIMFIRST => ~\E x \in Held(n) : Row(x).st = "QUEUED" /\ ~Row(x).ah)
                 /\ ex' = [ex EXCEPT ![k[1]][k[2]].st = "AHEAD"]
                 /\ job' = IF CHARGESTART THEN job ELSE [job EXCEPT ![k[1]].tries = @ + 1]
                 /\ wait' = wait \cup {<<n, k>>}
                 /\ UNCHANGED <<plan, pend, begun, proc, spool, nst, nep, aep, cut, stale, faults, starts, ghosts>>
Start(n, k) == /\ <<n, k>> \in pend /\ (LEASESTART => ~stale[n])
               /\ pend' = pend \ {<<n, k>>} /\ proc' = proc \cup {<<n, k>>} /\ starts' = [starts EXCEPT ![k] = @ + 1]
               /\ UNCHANGED <<job, ex, plan, wait, begun, spool, nst, nep, aep, cut, stale, faults, ghosts>>
(* without a word to anybody *)
StartAhead(n, k) == /\ <<n, k>> \in wait /\ (LEASESTART => ~stale[n])
                    /\ (BOOKS => Here(n, proc \cup pend) = {})
                    /\ wait' = wait \ {<<n, k>>} /\ proc' = proc \cup {<<n, k>>} /\ begun' = begun \cup {<<n, k>>}
                    /\ starts' = [starts EXCEPT ![k] = @ + 1]
                    /\ UNCHANGED <<job, ex, plan, pend, spool, nst, nep, aep, cut, stale, faults, ghosts>>
(* the start is told; what ended on the node was told before: an exchange has the ends first *)
Tell(n, k) == /\ Talk(n) /\ <<n, k>> \in begun /\ Row(k).st = "AHEAD" /\ Row(k).node = n
              /\ ~\E x \in spool : x[1] = n /\ x[2] # k
              /\ HoldsRoom(n) = {}
              /\ ex' = [ex EXCEPT ![k[1]][k[2]].st = "RUNNING"]
              /\ job' = IF CHARGESTART THEN [job EXCEPT ![k[1]].tries = @ + 1] ELSE job
              /\ UNCHANGED <<plan, pend, wait, begun, proc, spool, nst, nep, aep, cut, stale, faults, starts, ghosts>>
(* for a cancel, a hold, a drain, a recall: whoever asked, the node alone answers *)
GiveBack(n, k) == /\ <<n, k>> \in wait
                  /\ wait' = wait \ {<<n, k>>} /\ spool' = spool \cup {<<n, k, "unstarted">>}
                  /\ UNCHANGED <<job, ex, plan, pend, begun, proc, nst, nep, aep, cut, stale, faults, starts, ghosts>>
End(n, k, o) == /\ <<n, k>> \in proc /\ ~\E x \in spool : x[1] = n /\ x[2] = k
                /\ (o = "killed" => job[k[1]].cancel \/ job[k[1]].st \in Term \/ stale[n] \/ nep[n] # aep[n])
                /\ spool' = spool \cup {<<n, k, o>>}
                /\ proc' = IF REAPFIRST THEN proc \ {<<n, k>>} ELSE proc
                /\ UNCHANGED <<job, ex, plan, pend, wait, begun, nst, nep, aep, cut, stale, faults, starts, ghosts>>
Reap(n, k) == /\ ~REAPFIRST /\ <<n, k>> \in proc /\ proc' = proc \ {<<n, k>>}
              /\ UNCHANGED <<job, ex, plan, pend, wait, begun, spool, nst, nep, aep, cut, stale, faults, starts, ghosts>>
(* the agent dies: what was claimed and not started is a failure; what is ahead is in the journal, started or not *)
Crash(n) == /\ faults < MaxFaults /\ faults' = faults + 1
            /\ Here(n, pend) # {} \/ Here(n, wait \cup begun) # {}
            /\ spool' = spool \cup {<<n, x[2], "fail">> : x \in Here(n, pend)} /\ pend' = pend \ Here(n, pend)
            /\ wait' = IF JOURNAL THEN wait ELSE wait \cup (Here(n, begun) \cap proc)
            /\ begun' = IF JOURNAL THEN begun ELSE begun \ Here(n, begun)
            /\ UNCHANGED <<job, ex, plan, proc, nst, nep, aep, cut, stale, starts, ghosts>>

Tries(j, k) == job[j].tries + (IF Row(k).st = "AHEAD" /\ CHARGESTART THEN 1 ELSE 0)
After(j, k, o) == IF job[j].cancel /\ STICKYCANCEL THEN "CANCELED"
                  ELSE IF o = "unstarted" THEN "QUEUED"
                  ELSE IF o = "ok" THEN "COMPLETED"
                  ELSE IF job[j].cancel THEN "CANCELED"
                  ELSE IF Tries(j, k) < MaxTries THEN "QUEUED" ELSE "FAILED"
Report(n, k, o, heard) ==
   /\ Talk(n) /\ <<n, k, o>> \in spool
   /\ LET j == k[1]
          live == Row(k).st \in {"RUNNING", "AHEAD"} /\ ~Row(k).rel
          counts == o # "unstarted" /\ live
          take == IF FENCE THEN live /\ job[j].seq = k[2] /\ job[j].st = "RUNNING" ELSE job[j].st = "RUNNING"
      IN /\ job' = [job EXCEPT ![j].tries = IF counts THEN Tries(j, k) ELSE @,
                               ![j].st = IF take THEN After(j, k, o) ELSE @,
                               ![j].res = IF take /\ After(j, k, o) = "COMPLETED" THEN k[2] ELSE @]
         /\ ex' = [ex EXCEPT ![j][k[2]].st = IF live THEN (IF o = "unstarted" THEN "WITHDRAWN" ELSE "DONE") ELSE @,
                             ![j][k[2]].rel = TRUE]
   /\ spool' = IF heard THEN spool \ {<<n, k, o>>} ELSE spool    \* commit happened, answer may be lost
   /\ (heard \/ faults < MaxFaults) /\ faults' = IF heard THEN faults ELSE faults + 1
   /\ begun' = begun \ {<<n, k>>}
   /\ UNCHANGED <<plan, pend, wait, proc, nst, nep, aep, cut, stale, starts, ghosts>>
Back(j) == IF job[j].cancel THEN "CANCELED" ELSE "QUEUED"
(* not claimed in time, recalled or cancelled before the claim; without ASKBACK what is ahead as well *)
Withdraw(k) == /\ Row(k).st = "QUEUED" \/ (~ASKBACK /\ Row(k).st = "AHEAD")
               /\ ex' = [ex EXCEPT ![k[1]][k[2]].st = "WITHDRAWN", ![k[1]][k[2]].rel = TRUE]
               /\ job' = IF job[k[1]].seq = k[2] /\ job[k[1]].st = "RUNNING" THEN [job EXCEPT ![k[1]].st = Back(k[1])] ELSE job
               /\ UNCHANGED <<plan, pend, wait, begun, proc, spool, nst, nep, aep, cut, stale, faults, starts, ghosts>>
(* final at once, but for what has started: that is final, too, when it is dead *)
Cancel(j) == /\ job[j].st \notin Term /\ ~job[j].cancel
             /\ job' = [job EXCEPT ![j].cancel = TRUE,
                    ![j].st = IF @ = "QUEUED" \/ (job[j].seq > 0 /\ ex[j][job[j].seq].st = "AHEAD") THEN "CANCELED" ELSE @]
             /\ UNCHANGED <<ex, plan, pend, wait, begun, proc, spool, nst, nep, aep, cut, stale, faults, starts, ghosts>>

(* executions that are taken from a node; `kept` are those of which its own journal says that they never started *)
Take(n, kept) ==
   LET gone == {k \in Held(n) : Live(k)}
       lost == {k \in gone : Row(k).st = "RUNNING" \/ (Row(k).st = "AHEAD" /\ k \notin kept)}
       more(j) == IF \E k \in lost : k[1] = j /\ Row(k).st = "AHEAD" THEN 1 ELSE 0
       charge(j) == IF CHARGELOST /\ CHARGESTART THEN more(j) ELSE 0
       of(j) == {k \in gone : k[1] = j /\ k[2] = job[j].seq}
   IN /\ ex' = [j \in Jobs |-> [s \in Seqs |-> IF <<j, s>> \in gone
                  THEN [ex[j][s] EXCEPT !.st = IF <<j, s>> \in lost THEN "LOST" ELSE "WITHDRAWN", !.rel = TRUE] ELSE ex[j][s]]]
      /\ job' = [j \in Jobs |-> IF of(j) = {} THEN job[j] ELSE [job[j] EXCEPT
                  !.tries = @ + charge(j),
                  !.st = IF @ # "RUNNING" THEN @ ELSE IF job[j].cancel THEN "CANCELED"
                         ELSE IF of(j) \cap lost = {} \/ job[j].tries + charge(j) < MaxTries THEN "QUEUED" ELSE "FAILED"]]
      /\ ghosts' = [j \in Jobs |-> ghosts[j] + more(j)]
Expire(n) == /\ cut[n] /\ ~stale[n] /\ stale' = [stale EXCEPT ![n] = TRUE]
             /\ UNCHANGED <<job, ex, plan, pend, wait, begun, proc, spool, nst, nep, aep, cut, faults, starts, ghosts>>
Lost(n) == /\ nst[n] = "READY" /\ cut[n]
           /\ (SELFFENCE => stale[n] /\ Here(n, proc) = {})
           /\ nst' = [nst EXCEPT ![n] = "LOST"] /\ nep' = [nep EXCEPT ![n] = @ + 1]
           /\ Take(n, {})
           /\ UNCHANGED <<plan, pend, wait, begun, proc, spool, aep, cut, stale, faults, starts>>
Drop(n) == /\ nep[n] # aep[n] /\ Talk(n) /\ Here(n, pend \cup wait) # {}
           /\ pend' = pend \ Here(n, pend) /\ wait' = wait \ Here(n, wait)
           /\ UNCHANGED <<job, ex, plan, begun, proc, spool, nst, nep, aep, cut, stale, faults, starts, ghosts>>
Rejoin(n) == /\ nst[n] = "LOST" /\ Talk(n)
             /\ (PURGE => Here(n, proc \cup pend \cup wait) = {})
             /\ nst' = [nst EXCEPT ![n] = "READY"] /\ aep' = [aep EXCEPT ![n] = nep[n]]
             /\ stale' = [stale EXCEPT ![n] = FALSE] /\ begun' = begun \ Here(n, begun)
             /\ UNCHANGED <<job, ex, plan, pend, wait, proc, spool, nep, cut, faults, starts, ghosts>>
(* another boot: nothing of the node runs any more, and its journal says what had never started *)
Reboot(n) == /\ faults < MaxFaults /\ faults' = faults + 1 /\ nst[n] = "READY" /\ Talk(n)
             /\ proc' = proc \ Here(n, proc) /\ pend' = pend \ Here(n, pend)
             /\ Take(n, {x[2] : x \in Here(n, wait)})
             /\ wait' = wait \ Here(n, wait) /\ begun' = begun \ Here(n, begun) /\ spool' = spool \ Here(n, spool)
             /\ nep' = [nep EXCEPT ![n] = @ + 1] /\ aep' = [aep EXCEPT ![n] = nep[n] + 1]
             /\ stale' = [stale EXCEPT ![n] = FALSE]
             /\ UNCHANGED <<plan, nst, cut, starts>>
Cut(n)  == /\ ~cut[n] /\ faults < MaxFaults /\ cut' = [cut EXCEPT ![n] = TRUE] /\ faults' = faults + 1
           /\ UNCHANGED <<job, ex, plan, pend, wait, begun, proc, spool, nst, nep, aep, stale, starts, ghosts>>
Heal(n) == /\ cut[n] /\ cut' = [cut EXCEPT ![n] = FALSE]
           /\ stale' = [stale EXCEPT ![n] = IF nep[n] = aep[n] THEN FALSE ELSE @]
           /\ UNCHANGED <<job, ex, plan, pend, wait, begun, proc, spool, nst, nep, aep, faults, starts, ghosts>>

Next == \/ Think \/ Place \/ \E j \in Jobs : Cancel(j)
        \/ \E n \in Nodes : Lost(n) \/ Rejoin(n) \/ Drop(n) \/ Heal(n) \/ Cut(n) \/ Crash(n) \/ Reboot(n) \/ Expire(n)
        \/ \E n \in Nodes, k \in Keys : Claim(n, k) \/ HandOut(n, k) \/ Start(n, k) \/ StartAhead(n, k) \/ Tell(n, k)
                                        \/ GiveBack(n, k) \/ Reap(n, k)
        \/ \E n \in Nodes, k \in Keys, o \in {"ok", "fail", "killed"} : End(n, k, o)
        \/ \E n \in Nodes, k \in Keys, o \in {"ok", "fail", "killed", "unstarted"}, heard \in BOOLEAN : Report(n, k, o, heard)
        \/ \E k \in Keys : Withdraw(k)
Spec == Init /\ [][Next]_vars

---------------------------------------------------------------------------
Sum(j) == LET RECURSIVE add(_)
              add(s) == IF s = 0 THEN 0 ELSE starts[<<j, s>>] + add(s - 1)
          IN add(MaxSeq)
StartOnce   == \A k \in Keys : starts[k] <= 1                     \* no attempt number is ever started twice
NoOverlap   == \A j \in Jobs : Cardinality({x \in proc : x[2][1] = j}) <= 1
TryBound    == \A j \in Jobs : Sum(j) <= MaxTries
Charged     == \A j \in Jobs : job[j].tries <= Sum(j) + ghosts[j] + Cardinality({x \in pend : x[2][1] = j})
                                            + Cardinality({k \in Keys : k[1] = j /\ starts[k] = 0 /\ ~Row(k).ah /\ Row(k).st \in {"RUNNING", "DONE", "LOST"}})
AllCharged  == \A j \in Jobs : job[j].st \in Term \cup {"QUEUED"} /\ Quiet(j) => job[j].tries >= Sum(j)
Slots       == \A n \in Nodes : (nst[n] = "READY" /\ ~cut[n] /\ aep[n] = nep[n]) => Cardinality(Here(n, proc \cup pend)) <= 1
Room        == \A n \in Nodes : Cardinality(HoldsRoom(n)) <= 1
Result      == \A j \in Jobs : job[j].st = "COMPLETED" => job[j].res = job[j].seq /\ ex[j][job[j].res].st = "DONE"
CancelKept  == \A j \in Jobs : job[j].cancel => job[j].st # "COMPLETED"
QueuedClean == \A j \in Jobs : job[j].st = "QUEUED" => {x \in proc : x[2][1] = j} = {}
Stable      == [][\A j \in Jobs : job[j].st \in Term => job'[j].st = job[j].st /\ job'[j].res = job[j].res]_vars
=============================================================================
