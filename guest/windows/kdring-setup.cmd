@echo off
rem SPDX-License-Identifier: MIT
rem kdring-setup: puts kdring.dll into a Windows guest, XP to 11, and takes it out again.
rem What it does to which Windows: docs/windows-guest.md of OpenKD. Everything that changes the
rem system goes through :do (or looks at DRY itself), and is noted in %STATE% before it happens.
rem Written for the cmd of XP; no findstr, no blocks where a goto does, no delayed expansion but
rem where lines are compared. Line ends are CR LF.
setlocal enableextensions disabledelayedexpansion
rem A bcdedit.cmd in the folder one happens to stand in is not for administrators to run.
set "NoDefaultCurrentDirectoryInExePath=1"
set "HERE=%~dp0"
set "OUTPUT=%TEMP%\kdring-setup.txt"
for %%v in (VERB DRY IVSHMEM REPLACE INSTALL_ONLY ENTRY FAILED LEFT LOADOPT) do set "%%v="
set "PORT=1"
set "BAUD=115200"
set "DESC=OpenKD kdring"

rem --- words of the command line; not called, for "call :label /?" would print the help of call ---

for %%v in (install uninstall status) do if /i "%~1"=="%%v" set "VERB=%%v"
if not defined VERB goto usage
:parse_next
shift
if "%~1"=="" goto parse_end
if /i "%~1"=="/dryrun" goto parse_dryrun
set "INSTALL_ONLY=%~1"
if /i "%~1"=="/port" goto parse_port
if /i "%~1"=="/baudrate" goto parse_baudrate
if /i "%~1"=="/ivshmem" goto parse_ivshmem
if /i "%~1"=="/replace" goto parse_replace
if /i "%~1"=="/description" goto parse_description
>&2 echo kdring-setup: no option %~1
goto usage
:parse_dryrun
set "DRY=1"
goto parse_next
:parse_ivshmem
set "IVSHMEM=1"
goto parse_next
:parse_replace
set "REPLACE=1"
goto parse_next
:parse_port
set "PORT="
for %%n in (1 2 3 4) do if "%~2"=="%%n" set "PORT=%%n"
if defined PORT goto parse_value
>&2 echo kdring-setup: /port takes 1, 2, 3 or 4
goto usage
:parse_baudrate
set "BAUD="
for %%n in (9600 19200 38400 57600 115200) do if "%~2"=="%%n" set "BAUD=%%n"
if defined BAUD goto parse_value
>&2 echo kdring-setup: /baudrate takes 9600, 19200, 38400, 57600 or 115200
goto usage
:parse_description
set "DESC=%~2"
set "BAD="
if "%DESC%"=="" set "BAD=1"
rem What is left behind these delimiters would be read by cmd, boot.ini or bcdedit in its own way.
set "REST=_%DESC: =_%"
for /f "delims=ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-" %%c in ("%REST%") do set "BAD=1"
if not defined BAD goto parse_value
>&2 echo kdring-setup: /description takes letters, digits, blanks, dots, - and _ (in quotes)
goto usage
:parse_value
shift
goto parse_next
:parse_end
if "%VERB%"=="install" goto parsed
if not defined INSTALL_ONLY goto parsed
>&2 echo kdring-setup: %VERB% takes no %INSTALL_ONLY%, that is for install
:usage
echo usage: kdring-setup install [/port N] [/baudrate N] [/ivshmem] [/replace] [/description TEXT]
echo        kdring-setup uninstall
echo        kdring-setup status
echo   install     copies kdring.dll and adds a boot entry that uses it; the others stay as they are
echo   uninstall   undoes what install did, also half of it
echo   status      what is installed
echo   /dryrun     with each of them: say what would be done, change nothing
echo   /port N     the serial port beside the ring, 1 to 4 (1)
echo   /baudrate N its speed (115200)
echo   /ivshmem    the ring lies in the VM's ivshmem device, not in its own pages
echo   /replace    Windows 10 and 11: in place of kdcom.dll, for all boot entries
echo   /description TEXT   the name of the boot entry
echo exit codes: 0 done, 1 refused, 2 not understood
exit /b 2
:parsed
call :find_system
if errorlevel 1 exit /b 1
goto verb_%VERB%

rem --- the system: NAME, MAJOR, MINOR, BUILD, FORM, MACHINE, SYS ---

:find_system
for /f "delims=" %%l in ('ver') do set "REST=%%l"
rem The version is the last word, whatever the language before it.
:find_version
set "RELEASE="
for /f "tokens=1 delims=[] " %%a in ("%REST%") do set "RELEASE=%%a"
set "NEXT="
for /f "tokens=1* delims=[] " %%a in ("%REST%") do set "NEXT=%%b"
set "REST=%NEXT%"
if defined NEXT for /f "delims=[] " %%a in ("%NEXT%") do goto find_version
set "MAJOR=0"
set "MINOR=0"
set "BUILD=0"
for /f "tokens=1-3 delims=." %%a in ("%RELEASE%") do set /a MAJOR=%%a, MINOR=%%b, BUILD=%%c
set "NAME="
if "%MAJOR%.%MINOR%"=="5.1" set "NAME=Windows XP"
if "%MAJOR%.%MINOR%"=="5.2" set "NAME=Windows Server 2003 or XP x64"
set "FORM=bootini"
if "%MAJOR%"=="5" goto find_machine
set "FORM=bcd"
if "%MAJOR%.%MINOR%"=="6.0" set "NAME=Windows Vista or 2008"
if "%MAJOR%.%MINOR%"=="6.1" set "NAME=Windows 7 or 2008 R2"
if "%MAJOR%.%MINOR%"=="6.2" set "NAME=Windows 8 or 2012"
if "%MAJOR%.%MINOR%"=="6.3" set "NAME=Windows 8.1 or 2012 R2"
if not "%MAJOR%.%MINOR%"=="10.0" goto find_machine
set "NAME=Windows 10"
if %BUILD% GEQ 22000 set "NAME=Windows 11"
:find_machine
if not defined NAME goto no_release
set "SYS=%SystemRoot%\System32"
set "KEPT=%SystemRoot%\kdring"
set "STATE=%SystemRoot%\kdring\state.txt"
set "CPU=%PROCESSOR_ARCHITECTURE%"
if not defined PROCESSOR_ARCHITEW6432 goto name_machine
rem A 32-bit cmd: its System32 is SysWOW64, the real one is Sysnative, which XP and 2003 lack.
set "CPU=%PROCESSOR_ARCHITEW6432%"
if not exist "%SystemRoot%\Sysnative\cmd.exe" goto no_sysnative
set "SYS=%SystemRoot%\Sysnative"
set "PATH=%PATH%;%SystemRoot%\Sysnative"
:name_machine
set "MACHINE="
if /i "%CPU%"=="AMD64" set "MACHINE=x64"
if /i "%CPU%"=="x86" set "MACHINE=x86"
if defined MACHINE exit /b 0
>&2 echo kdring-setup: no kdring.dll for %CPU%: it is made for x86 and x64 only
exit /b 1
:no_release
>&2 echo kdring-setup: this is Windows %RELEASE%, kdring.dll is for XP to 11: use its own serial transport (docs/windows-guest.md)
exit /b 1
:no_sysnative
>&2 echo kdring-setup: this is a 32-bit cmd on a 64-bit Windows: run it from the 64-bit one, cmd.exe in System32
exit /b 1

:check_rights
rem Readable by administrators only, in all releases, without any service.
call reg query "HKU\S-1-5-19" >nul 2>&1
if not errorlevel 1 exit /b 0
if not defined DRY goto no_rights
echo No administrator rights: this shows what would be done, as far as can be seen without them
exit /b 0
:no_rights
>&2 echo kdring-setup: no administrator rights: start cmd with "Run as administrator" and try again
exit /b 1

:check_secure_boot
if %MAJOR% LSS 6 exit /b 0
call reg query "HKLM\SYSTEM\CurrentControlSet\Control\SecureBoot\State" /v UEFISecureBootEnabled 2>nul | find "0x1" >nul
if errorlevel 1 exit /b 0
>&2 echo kdring-setup: Secure Boot is on and refuses test-signed files: switch it off in the firmware of the VM, then try again
exit /b 1

:check_dll
set "DLL=%HERE%%MACHINE%\kdring.dll"
if not exist "%DLL%" goto no_dll
call :is_ours "%DLL%" %MACHINE%
if not errorlevel 1 exit /b 0
>&2 echo kdring-setup: %DLL% is not OpenKD's kdring.dll for %MACHINE%: copy the folder windows-guest again
exit /b 1
:no_dll
>&2 echo kdring-setup: no %DLL%: copy the whole folder windows-guest, with x64 and x86 in it
exit /b 1

rem is_ours FILE MACHINE: errorlevel 0 when it is. The DLL has this text as a line of its own.
:is_ours
find "OpenKD kdring.dll for %~2" %1 >nul 2>&1
if errorlevel 1 exit /b 1
exit /b 0

rem --- doing ---

rem do COMMAND...: says it, does it unless this is a dry run; errorlevel 1 and its words when it failed
:do
echo   %*
if defined DRY exit /b 0
call %* >"%OUTPUT%" 2>&1
if not errorlevel 1 exit /b 0
type "%OUTPUT%"
exit /b 1

rem try COMMAND...: the same where failing is no matter
:try
echo   %*
if defined DRY exit /b 0
call %* >nul 2>&1
exit /b 0

rem note KEY VALUE: remember for uninstall
:note
if defined DRY exit /b 0
>>"%STATE%" echo %~1=%~2
exit /b 0

:note_line
if defined DRY exit /b 0
>>"%STATE%" echo line=%LINE%
exit /b 0

rem entry ELEMENT VALUE: of our boot entry, unless something failed before
:entry
if defined FAILED exit /b 1
call :do bcdedit /set %ENTRY% %*
if errorlevel 1 set "FAILED=1"
exit /b 0

rem --- install ---

:verb_install
call :check_rights
if errorlevel 1 exit /b 1
call :check_secure_boot
if errorlevel 1 exit /b 1
call :check_dll
if errorlevel 1 exit /b 1
if not defined REPLACE goto install_form
if not "%MAJOR%"=="10" goto no_replace
set "FORM=replace"
:install_form
if exist "%STATE%" goto have_state
if exist "%SYS%\kdring.dll" goto have_dll
call :prepare_%FORM%
if errorlevel 1 exit /b 1
if defined DRY echo dry run, nothing is changed:
echo %NAME%, %MACHINE%
if exist "%KEPT%\" goto install_make
call :do md "%KEPT%"
if errorlevel 1 exit /b 1
:install_make
call :note form %FORM%
call :make_%FORM%
if errorlevel 1 goto rollback
call :note complete 1
goto hints
:no_replace
>&2 echo kdring-setup: /replace is for Windows 10 and 11: leave it out, %NAME% takes the DLL beside kdcom.dll
exit /b 1
:have_state
>&2 echo kdring-setup: installed already, or half of it ("kdring-setup status" tells): run "kdring-setup uninstall" first
exit /b 1
:have_dll
>&2 echo kdring-setup: there is a kdring.dll in %SYS% that this tool did not put there: delete it first
exit /b 1
:rollback
>&2 echo kdring-setup: that failed: taking back what was done
call :undo
exit /b 1

:copy_dll
call :note dll kdring.dll
call :do copy /y /b "%DLL%" "%SYS%\kdring.dll"
exit /b %errorlevel%

rem Vista to 11: a boot entry that names its transport
:prepare_bcd
exit /b 0
:make_bcd
if "%MAJOR%"=="10" echo Untried: nobody has seen yet whether this release loads a transport of another name than kdcom.dll; if the debugger sees nothing, uninstall and try /replace
call :copy_dll
if errorlevel 1 exit /b 1
set "TRANSPORT=kdring.dll"
:make_entry
for /f "tokens=1*" %%a in ('call bcdedit /enum {current} 2^>nul') do if /i "%%a"=="loadoptions" set "LOADOPT=%%b "
echo   bcdedit /copy {current} /d "%DESC%"
set "ENTRY={new-entry}"
if defined DRY goto set_entry
set "ENTRY="
set "PART="
call :note copying "%DESC%"
call bcdedit /copy {current} /d "%DESC%" >"%OUTPUT%" 2>&1
rem In some languages the answer may begin with the GUID. A GUID has five parts, other words have not.
for /f "usebackq tokens=1 delims={}" %%g in ("%OUTPUT%") do set "ENTRY=%%g"
if defined ENTRY for /f "tokens=5 delims=-" %%p in ("%ENTRY%") do set "PART=%%p"
if defined PART goto have_entry
for /f "usebackq tokens=2 delims={}" %%g in ("%OUTPUT%") do set "ENTRY=%%g"
if defined ENTRY for /f "tokens=5 delims=-" %%p in ("%ENTRY%") do set "PART=%%p"
if not defined PART goto no_entry
:have_entry
set "ENTRY={%ENTRY%}"
call :note entry %ENTRY%
:set_entry
call :entry debug on
call :entry dbgtransport %TRANSPORT%
call :entry debugtype serial
call :entry debugport %PORT%
call :entry baudrate %BAUD%
call :entry testsigning on
if "%MAJOR%.%MINOR%"=="6.0" goto set_more
if "%MAJOR%.%MINOR%"=="6.1" goto set_more
call :entry bootmenupolicy legacy
call :entry recoveryenabled no
rem Left from a network debugger, it keeps the serial one from working.
if not defined FAILED call :try bcdedit /deletevalue %ENTRY% busparams
if not "%FORM%"=="replace" goto set_more
if %BUILD% GEQ 22000 call :entry nointegritychecks on
:set_more
if defined IVSHMEM call :entry loadoptions "%LOADOPT%ring=ivshmem"
if defined FAILED exit /b 1
call :do bcdedit /displayorder %ENTRY% /addlast
exit /b %errorlevel%
:no_entry
call :note copying ""
type "%OUTPUT%"
exit /b 1

rem 10 and 11 with /replace: our DLL as kdcom.dll, Windows' own under another name
:prepare_replace
if exist "%SYS%\kdcom.dll" exit /b 0
>&2 echo kdring-setup: no %SYS%\kdcom.dll to replace: try without /replace
exit /b 1
:make_replace
echo Warning: from now on EVERY boot entry of this Windows loads kdring.dll as its kdcom.dll, until uninstall. Take a snapshot of the VM first.
set "N=0"
:next_backup
set /a N=N+1
if exist "%SYS%\kdcom.kdring-%N%.bak" goto next_backup
call :note backup kdcom.kdring-%N%.bak
call :do icacls "%SYS%\kdcom.dll" /save "%KEPT%\kdcom.acl"
if errorlevel 1 exit /b 1
call :note acl kdcom.acl
call :do takeown /f "%SYS%\kdcom.dll" /a
if errorlevel 1 exit /b 1
call :do icacls "%SYS%\kdcom.dll" /grant *S-1-5-32-544:F
if errorlevel 1 exit /b 1
rem Whole before it gets the name: two renames, no half-written kdcom.dll at any time.
call :do copy /y /b "%DLL%" "%SYS%\kdcom.kdring-new"
if errorlevel 1 exit /b 1
call :do ren "%SYS%\kdcom.dll" kdcom.kdring-%N%.bak
if errorlevel 1 exit /b 1
call :do ren "%SYS%\kdcom.kdring-new" kdcom.dll
if errorlevel 1 exit /b 1
set "TRANSPORT=kdcom.dll"
goto make_entry

rem XP and 2003: a line of boot.ini
:prepare_bootini
set "BOOT=%SystemDrive%\boot.ini"
if not exist "%BOOT%" set "BOOT=C:\boot.ini"
if not exist "%BOOT%" goto no_bootini
set "DEFAULT="
set "LINE="
for /f "usebackq eol=] tokens=1* delims==" %%a in ("%BOOT%") do if /i "%%a"=="default" set "DEFAULT=%%b"
if not defined DEFAULT goto no_default
rem The section of the lines comes after the default; the first line of a name is the one that counts.
for /f "usebackq eol=] tokens=1* delims==" %%a in ("%BOOT%") do if /i "%%a"=="%DEFAULT%" if not defined LINE set LINE=%%b
set ORIGINAL=%DEFAULT%=%LINE%
if not defined LINE goto no_default
rem The options, behind the name in its quotes; the slash at the end for a line that has none.
set REST=%LINE% /
set REST=%REST:"/=" /%
set REST=%REST:*" /=/%
set "OPTIONS="
:next_option
set "WORD="
for /f "tokens=1" %%a in ("%REST%") do set "WORD=%%a"
if not defined WORD goto have_options
set "NEXT="
for /f "tokens=1*" %%a in ("%REST%") do set "NEXT=%%b"
set "REST=%NEXT%"
for /f "tokens=1 delims=:=" %%k in ("%WORD%") do for %%d in (/debug /nodebug /crashdebug /debugport /baudrate) do if /i "%%k"=="%%d" set "WORD="
if "%WORD%"=="/" set "WORD="
if defined WORD set "OPTIONS=%OPTIONS% %WORD%"
goto next_option
:have_options
set "OPTIONS=%OPTIONS% /DEBUG /DEBUGPORT=RING /BAUDRATE=%BAUD%"
if not "%PORT%"=="1" set "OPTIONS=%OPTIONS% /RINGPORT=COM%PORT%"
if defined IVSHMEM set "OPTIONS=%OPTIONS% /RING=IVSHMEM"
set LINE=%DEFAULT%="%DESC%"%OPTIONS%
exit /b 0

:make_bootini
call :copy_dll
if errorlevel 1 exit /b 1
call :get_attributes
call :note boot "%BOOT%"
call :note attributes "%ATTRIBUTES%"
call :note_line
rem copy and move do not see hidden files.
call :do attrib -s -h -r "%BOOT%"
if errorlevel 1 exit /b 1
call :do copy /y /b "%BOOT%" "%KEPT%\boot.ini.before"
if errorlevel 1 exit /b 1
call :write_bootini
if errorlevel 1 exit /b 1
call :do copy /y /b "%BOOT%.new" "%KEPT%\boot.ini.ours"
if errorlevel 1 exit /b 1
call :do move /y "%BOOT%.new" "%BOOT%"
if errorlevel 1 exit /b 1
if not defined ATTRIBUTES exit /b 0
call :do attrib %ATTRIBUTES% "%BOOT%"
exit /b %errorlevel%
:no_bootini
>&2 echo kdring-setup: no %SystemDrive%\boot.ini and no C:\boot.ini: this XP or 2003 starts in a way this tool does not know
exit /b 1
:no_default
>&2 echo kdring-setup: %BOOT% has no line for its default system: set one (msconfig, BOOT.INI), then try again
exit /b 1

:get_attributes
set "ATTRIBUTES="
for %%f in ("%BOOT%") do set "FLAGS=%%~af"
if /i "%FLAGS:~1,1%"=="r" set "ATTRIBUTES=+r"
if /i "%FLAGS:~3,1%"=="h" set "ATTRIBUTES=%ATTRIBUTES% +h"
if /i "%FLAGS:~4,1%"=="s" set "ATTRIBUTES=%ATTRIBUTES% +s"
exit /b 0

rem boot.ini.new: boot.ini, and behind the default's line our own
:write_bootini
echo   write "%BOOT%.new": boot.ini and, behind the default's line, %LINE%
if defined DRY exit /b 0
if exist "%BOOT%.new" del /f "%BOOT%.new"
set "DONE="
for /f "usebackq eol=] delims=" %%l in ("%BOOT%") do (
	set CURRENT=%%l
	call :write_line
)
if defined DONE exit /b 0
exit /b 1
:write_line
call :echo_line "%BOOT%.new"
if defined DONE exit /b 0
set WANTED=%ORIGINAL%
call :is_wanted_line
if errorlevel 1 exit /b 0
>>"%BOOT%.new" echo %LINE%
set "DONE=1"
exit /b 0

rem is_wanted_line: errorlevel 0 when CURRENT is WANTED, quotes aside: `if` takes none inside its own
:is_wanted_line
if not defined CURRENT exit /b 1
set "LEFT_SIDE=%CURRENT:"=%"
set "RIGHT_SIDE=%WANTED:"=%"
if /i "%LEFT_SIDE%"=="%RIGHT_SIDE%" exit /b 0
exit /b 1

rem echo_line FILE: CURRENT, whatever characters are in it
:echo_line
setlocal enabledelayedexpansion
>>%1 echo.!CURRENT!
endlocal
exit /b 0

:hints
echo.
if defined DRY echo dry run, nothing was changed
if not defined DRY echo Done: boot entry "%DESC%"; the one that was the default is as it was.
if "%MAJOR%"=="5" goto hint_start
if "%MACHINE%"=="x86" goto hint_bitlocker
echo The DLL needs a signature, which may be a test one. If it has none yet, sign it on Linux (package osslsigncode):
echo   openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj "/CN=kdring test" -addext extendedKeyUsage=codeSigning -keyout kdring.key -out kdring.crt
echo   osslsigncode sign -h sha256 -certs kdring.crt -key kdring.key -in %MACHINE%/kdring.dll -out signed.dll
echo and install that instead (Windows 7 without updates and Vista: -h sha1). Trust the certificate in Windows:
echo   certutil -addstore Root kdring.crt
echo   certutil -addstore TrustedPublisher kdring.crt
:hint_bitlocker
echo If BitLocker protects this disk it asks for its recovery key at the next start: suspend it first (manage-bde -protectors -disable %SystemDrive%).
:hint_start
echo Start Windows again and choose "%DESC%" in the boot menu; on the host: kd -k unix:SOCKET -b
echo Back: kdring-setup uninstall
exit /b 0

rem --- uninstall ---

:verb_uninstall
call :check_rights
if errorlevel 1 exit /b 1
if not exist "%STATE%" goto no_state
call :read_state
call :is_running
if not errorlevel 1 goto running
if defined DRY echo dry run, nothing is changed:
call :undo
if errorlevel 1 exit /b 1
if defined DRY echo dry run, nothing was changed
if defined DRY exit /b 0
echo Done: this Windows starts as before.
if "%MAJOR%"=="5" exit /b 0
if "%MACHINE%"=="x86" exit /b 0
echo A certificate that was trusted for it is still trusted; to take it out, by the name it was given:
echo   certutil -delstore Root "kdring test"
echo   certutil -delstore TrustedPublisher "kdring test"
exit /b 0
:no_state
>&2 echo kdring-setup: nothing to undo: no %STATE%
exit /b 1
:running
>&2 echo kdring-setup: this Windows was started by the entry to be removed, its DLL is in use: start it by the ordinary entry, then try again
exit /b 1

rem The state as ST_KEY. Half an installation is a state without "complete".
:read_state
for %%k in (form complete dll copying entry boot attributes line backup acl) do set "ST_%%k="
if not exist "%STATE%" exit /b 0
for /f "usebackq eol=] tokens=1* delims==" %%a in ("%STATE%") do set ST_%%a=%%b
exit /b 0

rem errorlevel 0: the running Windows came from our entry
:is_running
if "%ST_form%"=="bootini" goto is_running_bootini
if not defined ST_entry exit /b 1
call bcdedit /enum {current} /v 2>nul | find "%ST_entry%" >nul
if errorlevel 1 exit /b 1
exit /b 0
:is_running_bootini
call reg query "HKLM\SYSTEM\CurrentControlSet\Control" /v SystemStartOptions 2>nul | find "DEBUGPORT=RING" >nul
if errorlevel 1 exit /b 1
exit /b 0

rem Takes back what the state says, the last first; what it can't leaves it and the rest for the next time.
:undo
call :read_state
set "LEFT="
if defined ST_copying if not defined ST_entry echo   an entry "%ST_copying%" may be left: "bcdedit /enum" shows it, "bcdedit /delete" deletes it
if defined ST_entry call :undo_entry
if defined LEFT goto undo_left
if defined ST_boot call :undo_bootini
if defined LEFT goto undo_left
if defined ST_backup call :undo_kdcom
if defined LEFT goto undo_left
if defined ST_dll call :undo_dll
if defined LEFT goto undo_left
call :do rd /s /q "%KEPT%"
exit /b %errorlevel%
:undo_left
>&2 echo kdring-setup: could not undo %LEFT%: see the line before; "kdring-setup uninstall" tries again
exit /b 1

:undo_entry
call bcdedit /enum %ST_entry% >nul 2>&1
if errorlevel 1 goto no_such_entry
call :do bcdedit /delete %ST_entry%
if errorlevel 1 set "LEFT=boot entry %ST_entry%"
exit /b 0
:no_such_entry
echo   boot entry %ST_entry% is gone already
exit /b 0

:undo_bootini
call :try attrib -s -h -r "%ST_boot%"
if exist "%ST_boot%.new" call :do del /f "%ST_boot%.new"
rem Without ours boot.ini was not touched yet; if it is neither ours nor as before, somebody edited it.
if not exist "%KEPT%\boot.ini.ours" goto undo_attributes
call fc /b "%ST_boot%" "%KEPT%\boot.ini.before" >nul 2>&1
if not errorlevel 1 goto undo_attributes
call fc /b "%ST_boot%" "%KEPT%\boot.ini.ours" >nul 2>&1
if errorlevel 1 goto undo_edited
call :do copy /y /b "%KEPT%\boot.ini.before" "%ST_boot%.new"
if errorlevel 1 goto left_bootini
goto undo_move
:undo_edited
echo   write "%ST_boot%.new": boot.ini, which was edited since, without %ST_line%
if not defined DRY call :write_others
:undo_move
call :do move /y "%ST_boot%.new" "%ST_boot%"
if errorlevel 1 goto left_bootini
:undo_attributes
if defined ST_attributes call :do attrib %ST_attributes% "%ST_boot%"
exit /b 0
:left_bootini
set "LEFT=%ST_boot%"
exit /b 0

:write_others
for /f "usebackq eol=] delims=" %%l in ("%ST_boot%") do (
	set CURRENT=%%l
	call :write_other
)
exit /b 0
:write_other
set WANTED=%ST_line%
call :is_wanted_line
if errorlevel 1 call :echo_line "%ST_boot%.new"
exit /b 0

:undo_dll
if not exist "%SYS%\%ST_dll%" exit /b 0
call :do del /f "%SYS%\%ST_dll%"
if not defined DRY if exist "%SYS%\%ST_dll%" set "LEFT=%SYS%\%ST_dll%"
exit /b 0

:undo_kdcom
if exist "%SYS%\kdcom.kdring-new" call :do del /f "%SYS%\kdcom.kdring-new"
if not exist "%SYS%\%ST_backup%" goto undo_acl
if not exist "%SYS%\kdcom.dll" goto undo_rename
call :is_ours "%SYS%\kdcom.dll" %MACHINE%
if errorlevel 1 goto kdcom_replaced
rem In use it can be renamed, but perhaps not deleted.
if exist "%SYS%\kdcom.kdring-old" call :try del /f "%SYS%\kdcom.kdring-old"
call :do ren "%SYS%\kdcom.dll" kdcom.kdring-old
if errorlevel 1 goto left_kdcom
:undo_rename
call :do ren "%SYS%\%ST_backup%" kdcom.dll
if errorlevel 1 goto left_kdcom
if not defined DRY if exist "%SYS%\kdcom.kdring-old" call :try del /f "%SYS%\kdcom.kdring-old"
if exist "%SYS%\kdcom.kdring-old" echo   %SYS%\kdcom.kdring-old is in use: delete it after the next start
:undo_acl
if not defined ST_acl exit /b 0
if not exist "%KEPT%\%ST_acl%" exit /b 0
call :try icacls "%SYS%\kdcom.dll" /setowner "NT SERVICE\TrustedInstaller"
call :do icacls "%SYS%" /restore "%KEPT%\%ST_acl%"
if errorlevel 1 set "LEFT=the permissions of %SYS%\kdcom.dll"
exit /b 0
:kdcom_replaced
echo   kdcom.dll is not ours any more, an update has replaced it: it stays, and so does %SYS%\%ST_backup%
exit /b 0
:left_kdcom
set "LEFT=%SYS%\kdcom.dll (Windows' own is %SYS%\%ST_backup%)"
exit /b 0

rem --- status ---

:verb_status
echo %NAME%, version %RELEASE%, %MACHINE%
call :read_state
if not exist "%STATE%" goto status_none
if defined ST_complete echo installed by kdring-setup
if not defined ST_complete echo half installed: "kdring-setup uninstall" undoes it
if defined ST_boot call :status_line
if defined ST_entry call :status_entry
if defined ST_dll call :status_file "%SYS%\%ST_dll%"
if defined ST_backup call :status_file "%SYS%\kdcom.dll"
if defined ST_backup echo Windows' own kdcom.dll: %SYS%\%ST_backup%
call :is_running
if errorlevel 1 echo this Windows was not started by that entry
if not errorlevel 1 echo this Windows was started by that entry
exit /b 0
:status_none
echo not installed by kdring-setup
if exist "%SYS%\kdring.dll" echo there is a kdring.dll in %SYS% all the same
exit /b 0
:status_line
echo boot.ini: %ST_line%
exit /b 0
:status_entry
echo boot entry: %ST_entry%
call bcdedit /enum %ST_entry% >nul 2>&1
if errorlevel 1 echo   which bcdedit does not show (no administrator rights, or it was deleted)
exit /b 0
:status_file
call :is_ours %1 %MACHINE%
if errorlevel 1 echo %~1: missing, or not OpenKD's
if not errorlevel 1 echo %~1: OpenKD's
exit /b 0
