@echo off
rem SPDX-License-Identifier: MIT
rem netprobe-setup: puts netprobe.sys into a Windows guest, 7 to 11, and takes it out again.
rem What it is for: docs/traffic.md of OpenKD. Everything that changes the system goes through :do.
rem Line ends are CR LF.
setlocal enableextensions disabledelayedexpansion
rem An sc.cmd in the folder one happens to stand in is not for administrators to run.
set "NoDefaultCurrentDirectoryInExePath=1"
set "HERE=%~dp0"
set "OUTPUT=%TEMP%\netprobe-setup.txt"
for %%v in (VERB DRY FAILED) do set "%%v="
set "START=demand"

for %%v in (install uninstall status) do if /i "%~1"=="%%v" set "VERB=%%v"
if not defined VERB goto usage
:parse_next
shift
if "%~1"=="" goto parsed
if /i "%~1"=="/dryrun" goto parse_dryrun
if /i "%~1"=="/boot" goto parse_boot
>&2 echo netprobe-setup: no option %~1
goto usage
:parse_dryrun
set "DRY=1"
goto parse_next
:parse_boot
if not "%VERB%"=="install" goto usage
set "START=system"
goto parse_next
:usage
echo usage: netprobe-setup install [/boot] [/dryrun]
echo        netprobe-setup uninstall [/dryrun]
echo        netprobe-setup status
echo   install     copies netprobe.sys, makes its service and starts it
echo   uninstall   stops it and takes both away
echo   status      what is installed
echo   /boot       start it at every boot, before programs have connections
echo   /dryrun     say what would be done, change nothing
echo exit codes: 0 done, 1 refused, 2 not understood
exit /b 2

rem --- the system ---

:parsed
set "MACHINE=x86"
if /i "%PROCESSOR_ARCHITECTURE%"=="AMD64" set "MACHINE=x64"
if /i "%PROCESSOR_ARCHITEW6432%"=="AMD64" set "MACHINE=x64"
if /i "%PROCESSOR_ARCHITECTURE%"=="ARM64" goto wrong_machine
set "SYS=%SystemRoot%\System32"
if exist "%SystemRoot%\Sysnative\cmd.exe" set "SYS=%SystemRoot%\Sysnative"
set "TARGET=%SYS%\drivers\netprobe.sys"
goto verb_%VERB%
:wrong_machine
>&2 echo netprobe-setup: there is no netprobe.sys for this processor
exit /b 1

:need_rights
rem The hive of a service account: only administrators may look into it.
call reg query "HKU\S-1-5-19" >nul 2>&1
if not errorlevel 1 exit /b 0
if defined DRY exit /b 0
>&2 echo netprobe-setup: this needs an administrator's command prompt
exit /b 1

rem --- verbs ---

:verb_status
call sc query netprobe >"%OUTPUT%" 2>nul
if errorlevel 1 goto status_none
find "RUNNING" <"%OUTPUT%" >nul
if errorlevel 1 goto status_stopped
echo netprobe.sys is installed and runs
exit /b 0
:status_stopped
echo netprobe.sys is installed, and does not run: sc start netprobe
exit /b 0
:status_none
echo netprobe.sys is not installed
exit /b 0

:verb_install
call :need_rights
if errorlevel 1 exit /b 1
set "SOURCE=%HERE%%MACHINE%\netprobe.sys"
if exist "%SOURCE%" goto install_copy
>&2 echo netprobe-setup: %SOURCE% is missing: copy the whole folder into the guest
exit /b 1
:install_copy
call sc query netprobe >nul 2>&1
if not errorlevel 1 call :remove
if defined FAILED goto failed
call :do copy /y "%SOURCE%" "%TARGET%"
if defined FAILED goto failed
call :do sc create netprobe type= kernel start= %START% error= normal binPath= system32\drivers\netprobe.sys depend= BFE/tcpip DisplayName= "OpenKD network probe"
if defined FAILED goto failed
call :do sc start netprobe
if defined FAILED goto not_started
echo netprobe.sys is installed
exit /b 0
:not_started
>&2 echo netprobe-setup: it is installed and did not start. An unsigned driver starts while a kernel
>&2 echo debugger is attached with debug boot on, or after: bcdedit /set testsigning on (and a restart)
exit /b 1

:verb_uninstall
call :need_rights
if errorlevel 1 exit /b 1
call sc query netprobe >nul 2>&1
if not errorlevel 1 call :remove
if defined FAILED goto failed
if exist "%TARGET%" call :do del "%TARGET%"
if defined FAILED goto failed
echo netprobe.sys is not installed any more
exit /b 0

:failed
>&2 echo netprobe-setup: stopped there; netprobe-setup uninstall takes away what was done
exit /b 1

rem --- what changes the system ---

:remove
call sc query netprobe >"%OUTPUT%" 2>nul
find "STOPPED" <"%OUTPUT%" >nul
if errorlevel 1 call :do sc stop netprobe
if defined FAILED exit /b 0
call :do sc delete netprobe
exit /b 0

:do
echo ^> %*
if defined DRY exit /b 0
call %* >"%OUTPUT%" 2>&1
if not errorlevel 1 exit /b 0
set "FAILED=1"
type "%OUTPUT%" >&2
exit /b 0
